"""Compares the stack that $ECHO_STACK names with openapi.json. schemathesis calls each operation with data that its schema allows,
with data that it forbids, and with ids from earlier answers.

The arguments are options of schemathesis and override tools/schemathesis.toml: --max-examples 300 --seed 1
"""

import http.server
import json
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import boto3

import demo
from console import LOCAL, ROOT, Failed, end, main, start, step

SCHEMATHESIS = LOCAL / "tools/conformance/bin/schemathesis"
# An event type that may be removed.
DOOMED_TYPE = "order.cancelled"
# The secrets in the requests and answers that schemathesis prints for a failure.
SECRET = re.compile(r"echo_[0-9a-f]{64}|whsec_[0-9a-f]{64}|[0-9a-f]{128}|eyJ[\w-]+\.[\w-]+\.[\w-]+")
# Python 3.11 fails by chance to parse source deep in a recursion (github.com/python/cpython/issues/106905). The operations that
# it hit are tried again.
PYTHON_FAULT = "AST constructor recursion depth mismatch"
ERRORED = re.compile(r"^_+ [A-Z]+ (/\S+) _+$", re.MULTILINE)


class Receiver(http.server.BaseHTTPRequestHandler):
    """Accepts every request."""

    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


class Project:
    def __init__(self, stack):
        self.api_url, self.key = stack["api_url"], stack["api_key"]
        self.url = f"{self.api_url}/v1/projects/{stack['project_id']}"

    def call(self, wanted, method, path, body=None):
        return demo.expect(wanted, demo.call(method, f"{self.url}{path}", body, x_api_key=self.key), f"{method} {path}")

    def endpoints(self, count, url):
        wanted = {"url": url, "events": ["call.ended"]}
        return [self.call(201, "POST", "/webhooks", wanted)["id"] for _ in range(count)]

    def deliver(self):
        """Sends one event to every endpoint. Returns the ids of the deliveries after all of them have succeeded."""
        deliveries = self.call(202, "POST", "/events", {"event_name": "call.ended"})["deliveries"]
        deadline = time.monotonic() + 60
        for each in deliveries:
            path = f"/webhooks/{each['webhook_endpoint_id']}/deliveries/{each['id']}"
            while self.call(200, "GET", path)["status"] != "success":
                if time.monotonic() > deadline:
                    raise Failed(f"delivery {each['id']} did not succeed within 60 s")
                time.sleep(0.2)
        return [each["id"] for each in deliveries]


def stop_deliveries(aws):
    """Stops deliveries, because schemathesis registers made-up URLs and nothing may be sent to them."""
    keys = {"aws_access_key_id": aws["access_key_id"], "aws_secret_access_key": aws["secret_access_key"]}
    aws_lambda = boto3.client("lambda", endpoint_url=aws["endpoint_url"], region_name=aws["region"], **keys)
    for mapping in aws_lambda.list_event_source_mappings()["EventSourceMappings"]:
        aws_lambda.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    states = [mapping["State"] for mapping in aws_lambda.list_event_source_mappings()["EventSourceMappings"]]
    if not states or any(state != "Disabled" for state in states):
        raise Failed(f"the functions still read the queues: {states}")


def things_to_try(project):
    """Existing ids for tools/schemathesis.toml. With made-up ids, almost every answer would be a 404."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/"
        [webhook], [delivery] = project.endpoints(1, url), project.deliver()
        doomed, changed = project.endpoints(2, url)
        server.shutdown()
    # With this account, the example of logging in succeeds.
    document = demo.expect(200, demo.call("GET", f"{project.api_url}/openapi.json"), "reading the description")
    account = document["paths"]["/auth/signup"]["post"]["requestBody"]["content"]["application/json"]["example"]
    tokens = demo.expect(201, demo.call("POST", f"{project.api_url}/auth/signup", account), "signing up")
    # Nothing but logging out is called with this account's token, so its session may end.
    token = {"ECHO_SESSION_TOKEN": tokens["access_token"]}
    ids = {"ECHO_WEBHOOK_ID": webhook, "ECHO_DELIVERY_ID": delivery, "ECHO_DOOMED_ID": doomed, "ECHO_CHANGED_ID": changed}
    return ids | token | portal(project)


def portal(project):
    """The token of a portal session, and a link that may be ended."""
    opened, doomed = (project.call(201, "POST", "/portal-links", {}) for _ in range(2))
    opening = {"code": opened["url"].split("#")[1], "nonce": "a1" * 32}
    session = demo.expect(201, demo.call("POST", f"{project.api_url}/auth/portal", opening), "redeeming a portal link")
    return {"ECHO_PORTAL_TOKEN": session["token"], "ECHO_DOOMED_LINK_ID": doomed["id"]}


def tried(command, env, folder):
    """The exit code and the output of schemathesis, which is shown as it comes."""
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    child = start(command, env=env, cwd=folder, **pipes)
    said = []
    try:
        for line in child.stdout:
            said.append(line)
            print(SECRET.sub("…", line), end="", flush=True)
        return child.wait(), "".join(said)
    finally:
        end(child)


def body():
    file = Path(os.environ["ECHO_STACK"])
    stack = json.loads(file.read_text())
    api_url, project = stack["api_url"], Project(stack)
    with step("delivering an event to each of some endpoints"):
        ids = things_to_try(project)
    with step("stopping deliveries"):
        stop_deliveries(stack["aws"])
    answer = demo.call("POST", f"{api_url}/auth/login", {"email": stack["email"], "password": stack["password"]})
    tokens = demo.expect(200, answer, "logging in")
    bearer = {"authorization": f"Bearer {tokens['access_token']}"}
    doomed = demo.call("PUT", f"{api_url}/v1/event-types/{DOOMED_TYPE}", {}, **bearer)
    demo.expect(200, doomed, "making an event type")
    env = (
        os.environ
        | ids
        | {
            "ECHO_API_KEY": stack["api_key"],
            "ECHO_PROJECT_ID": stack["project_id"],
            "ECHO_ACCESS_TOKEN": tokens["access_token"],
            "ECHO_REFRESH_TOKEN": tokens["refresh_token"],
            "ECHO_DOOMED_TYPE": DOOMED_TYPE,
            "NO_COLOR": "1",
            "SCHEMATHESIS_HOOKS": str(ROOT / "tools/local/conformance_hooks.py"),
        }
    )
    command = [
        SCHEMATHESIS,
        "--config-file",
        ROOT / "tools/schemathesis.toml",
        "run",
        f"{api_url}/openapi.json",
        "--url",
        api_url,
        *sys.argv[1:],
    ]
    code, said = tried(command, env, file.parent)
    if code and PYTHON_FAULT in said and not any(f"= {end} =" in said for end in ("FAILURES", "WARNINGS")):
        again = [part for path in sorted(set(ERRORED.findall(said))) for part in ("--include-path", path)]
        code, _ = tried([*command, *again], env, file.parent)
    return code


if __name__ == "__main__":
    main(body)
