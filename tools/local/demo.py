"""The first minute of a customer of the API: an account, an endpoint, an event and its delivery."""

import contextlib
import json
import re
import secrets
import shutil
import urllib.error
import urllib.request
import uuid

from console import LOCAL, ROOT, Failed, step

EVENTS = ROOT / "events"


def call(method, url, body=None, **headers):
    """Sends one JSON request. Returns the status and the answer."""
    data = None if body is None else json.dumps(body).encode()
    headers = {name.replace("_", "-"): value for name, value in headers.items()} | {"content-type": "application/json"}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method), timeout=30) as answer:
            return answer.status, json.loads(answer.read() or "null")
    except urllib.error.HTTPError as error:
        text = error.read().decode(errors="replace")
        with contextlib.suppress(ValueError):
            return error.code, json.loads(text)
        return error.code, text


def expect(wanted, answer, what):
    status, body = answer
    if status != wanted:
        raise Failed(f"{what}: expected {wanted}, got {status}: {body}")
    return body


def sign_up(api_url):
    email, password = f"demo-{secrets.token_hex(4)}@example.com", secrets.token_urlsafe(16)
    names = {"first_name": "Demo", "last_name": "User", "business_name": "Demo", "business_summary": "A demo", "industry": "Software"}
    answer = call("POST", f"{api_url}/auth/signup", {"email": email, "password": password, **names})
    project = expect(201, answer, "signing up")["default_project"]
    return {"project_id": project["id"], "api_key": project["api_key"], "email": email, "password": password}


def account(api_url, saved):
    """The account of the last run if the service still knows it, or else a new account."""
    if saved.exists():
        known = json.loads(saved.read_text())
        status, _ = call("GET", f"{api_url}/v1/projects/{known['project_id']}/webhooks", x_api_key=known["api_key"])
        if status == 200:
            return known
    fresh = sign_up(api_url)
    saved.write_text(json.dumps(fresh))
    return fresh


def register(project_url, api_key, url):
    """Registers the demo receiver as an endpoint, or enables the endpoint that it already has."""
    for endpoint in endpoints(project_url, api_key):
        if endpoint["url"] == url:
            path = f"{project_url}/webhooks/{endpoint['id']}"
            expect(200, call("PATCH", path, {"status": "active"}, x_api_key=api_key), "enabling the endpoint")
            return
    body = {"url": url, "events": [sample_event()["event_name"]]}
    expect(201, call("POST", f"{project_url}/webhooks", body, x_api_key=api_key), "registering the endpoint")


def endpoints(project_url, api_key):
    return expect(200, call("GET", f"{project_url}/webhooks", x_api_key=api_key), "listing endpoints")


def sample_event():
    """The body of the recorded request with a new event id: an event id that is sent twice is delivered once."""
    recorded = json.loads((EVENTS / "api-post-event.json").read_text())
    return json.loads(recorded["body"]) | {"event_id": str(uuid.uuid4())}


def demonstrate(api_url, receiver, saved):
    """Signs up, registers an endpoint, sends an event and waits for its delivery. Returns the account."""
    with step("signing in and registering the demo receiver"):
        known = account(api_url, saved)
        key, project_url = known["api_key"], f"{api_url}/v1/projects/{known['project_id']}"
        register(project_url, key, receiver.url)
        receiver.look_up = lambda: [endpoint["signing_secret"] for endpoint in endpoints(project_url, key)]
    with step("sending the sample event and waiting for its delivery", ticks=False):
        event = sample_event()
        expect(202, call("POST", f"{project_url}/events", event, x_api_key=key), "sending the event")
        if not receiver.wait_for(event["event_id"], 60):
            raise Failed(f"event {event['event_id']} was accepted but did not arrive within 60 s.")
    return known


RECORDED_PROJECT = "019d8257-8a4b-7000-8000-000000000001"
RECORDED_QUEUE = re.compile(r"(?<=:)echo-webhooks-(\w+)(?=\")")


def write_invocations(known, queues):
    """Writes the recorded invocations with this project, this key and these queues, for `cargo lambda invoke`. The delivery function
    tells jobs from events by the queue that they come from."""
    shutil.rmtree(LOCAL / "events", ignore_errors=True)
    (LOCAL / "events").mkdir()
    for recorded in EVENTS.glob("*.json"):
        text = recorded.read_text().replace("PROJECT_ID", known["project_id"]).replace("API_KEY", known["api_key"])
        text = text.replace(RECORDED_PROJECT, known["project_id"])
        text = RECORDED_QUEUE.sub(lambda found: queues[found[1]].rsplit("/", 1)[-1].rsplit(":", 1)[-1], text)
        (LOCAL / "events" / recorded.name).write_text(text)
