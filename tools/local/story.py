"""`make demo`: an endpoint fails twice and recovers, and each attempt is drawn when it happens. Uses the stack that $ECHO_STACK
names."""

import http.server
import itertools
import json
import os
import threading
import time
from pathlib import Path

from console import Failed, bold, dim, green, main, red, say
from demo import call, expect, sample_event

ANSWERS = (503, 500, 200)
WIDTH = 48


class Receiver(http.server.BaseHTTPRequestHandler):
    """Answers 503, then 500, and from then on 200."""

    protocol_version = "HTTP/1.1"
    answers = itertools.chain(ANSWERS, itertools.repeat(200))

    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        time.sleep(0.2)
        self.send_response(next(self.answers))
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def millis(text):
    whole, thousandths = text.rstrip("Z").split(".")
    return time.mktime(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) * 1000 + int(thousandths)


def draw(delivery, attempt, begun):
    after = (millis(attempt["created_at"]) - begun) / 1000
    mark = green("●") if attempt["success"] else red("●")
    line = "─" * min(WIDTH, round(after * 5)) + mark
    status = attempt["http_status"] or attempt["error_message"]
    said = green("delivered") if attempt["success"] else red("failed")
    say(f"  attempt {attempt['attempt_number']}  {after:5.1f} s  {status}  {attempt['duration_ms']:>4} ms  {said}\n  {line}")
    if delivery["status"] == "retrying" and attempt is delivery["attempts"][-1]:
        wait = (millis(delivery["next_retry_at"]) - millis(attempt["created_at"])) / 1000
        say(dim(f"  the next attempt is due {wait:.1f} s later"))


def watch(url, key):
    """Shows each attempt after it is recorded, until the delivery has ended."""
    shown, deadline = 0, time.monotonic() + 120
    while time.monotonic() < deadline:
        delivery = expect(200, call("GET", url, x_api_key=key), "reading the delivery")
        begun = millis(delivery["created_at"])
        for attempt in delivery["attempts"][shown:]:
            draw(delivery, attempt, begun)
        shown = len(delivery["attempts"])
        if delivery["status"] in ("success", "failed"):
            return delivery
        time.sleep(0.2)
    raise Failed(f"the delivery was still {delivery['status']} after two minutes.")


def body():
    stack = json.loads(Path(os.environ["ECHO_STACK"]).read_text())
    key, project = stack["api_key"], f"{stack['api_url']}/v1/projects/{stack['project_id']}"
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    event = sample_event()
    endpoint = {"url": f"http://127.0.0.1:{server.server_port}/calls", "events": [event["event_name"]]}
    webhook = expect(201, call("POST", f"{project}/webhooks", endpoint, x_api_key=key), "registering the endpoint")
    say(f"\n{bold('An endpoint')}   {webhook['url']}   {dim('it answers 503, then 500, then 200')}")
    accepted = expect(202, call("POST", f"{project}/events", event, x_api_key=key), "sending the event")
    say(f"{bold('An event')}      {event['event_name']}   {dim('accepted with 202, so it cannot get lost')}\n")
    url = f"{project}/webhooks/{webhook['id']}/deliveries/{accepted['deliveries'][0]['id']}"
    delivery = watch(url, key)
    server.shutdown()
    if [attempt["http_status"] for attempt in delivery["attempts"]] != list(ANSWERS):
        raise Failed(f"the endpoint answered {ANSWERS}, but the recorded attempts are: {delivery['attempts']}")
    say(f"\n{bold('In the log')}    {green(delivery['status'])} after {delivery['attempt_count']} attempts.")
    say(dim("Retries wait 1, 2 and 3 s here, and 1, 5 and 30 minutes by default. `make run` starts a service that stays up."))


if __name__ == "__main__":
    main(body)
