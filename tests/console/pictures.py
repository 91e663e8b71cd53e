"""Takes the screenshots of the console in docs/:

    RetryDelaysSeconds=3,15,40 DisableAfterFailures=0 .local/tools/local/bin/python tools/local/stack.py test-env -- \\
        .local/tools/browser/bin/python tests/console/pictures.py
"""

import json
import os
import random
import re
import time
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

from conftest import Customer, Receiver, chromium, sign_in

DOCS = Path(__file__).resolve().parents[2] / "docs"
SUMMARY = "The caller asked to move the appointment to Thursday; confirmed for 10:30."
REFUSAL = (503, b'{"error":"upstream connect error or disconnect/reset before headers"}')


def lived_in(customer):
    """Makes a project with some history. Returns the host to show for each receiver on this machine."""
    random.seed(7)
    receivers = {"billing": Receiver(), "crm": Receiver(), "archive": Receiver()}
    names = {"billing": ["call.ended"], "crm": ["call.started", "call.ended", "call.summary"], "archive": ["call.summary"]}
    hosts = {}
    for host, receiver in receivers.items():
        origin = receiver.url.removesuffix("/hook")
        hosts[origin] = f"https://{host}.example.com"
        customer.endpoint(f"{origin}/webhooks/echo", names[host])
    receivers["archive"].answer = REFUSAL
    receivers["crm"].answer = lambda body: REFUSAL if re.search(rb"call_[0-2]", body) else (200, b'{"received":true}')
    for _ in range(30):
        data = {"call_id": f"call_{random.getrandbits(32):08x}", "duration_seconds": random.randint(20, 900), "summary": SUMMARY}
        customer.emit(random.choice(["call.started", "call.ended", "call.summary"]), data)
        # The events of a project lie apart in time.
        time.sleep(0.4)
    wait_for(lambda: {row["status"] for row in deliveries(customer)} <= {"success", "failed"})
    newest = customer.emit("call.summary", {"call_id": "call_7f3k2", "duration_seconds": 184, "summary": SUMMARY})["event_id"]
    wait_for(lambda: all(row["attempt_count"] for row in deliveries(customer) if row["event_id"] == newest))
    customer.emit("call.ended")
    return hosts


def deliveries(customer):
    endpoints = customer.call("GET", "/webhooks", status=200)
    pages = [customer.call("GET", f"/webhooks/{each['id']}/deliveries?limit=100", status=200) for each in endpoints]
    return [row for page in pages for row in page["data"]]


def wait_for(condition):
    """Waits for two minutes at most. The retries of a delivery take one."""
    deadline = time.monotonic() + 120
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("the deliveries did not get so far")
        time.sleep(0.5)


def main():
    api_url = json.loads(Path(os.environ["ECHO_STACK"]).read_text())["api_url"]
    customer = Customer(api_url)
    hosts = lived_in(customer)

    def renamed(route):
        answer = route.fetch()
        text = answer.text()
        for here, shown in hosts.items():
            text = text.replace(here, shown)
        route.fulfill(response=answer, body=text.replace(customer.email, "ada@example.com"))

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium.find(), args=["--no-sandbox"] if os.geteuid() == 0 else [])
        for name, width, height, scheme in (("", 1120, 700, "light"), ("-phone", 390, 780, "dark")):
            page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme, device_scale_factor=1.5)
            page.route("**/v1/**", renamed)
            page.route("**/auth/**", renamed)
            page.goto(f"{api_url}/console")
            sign_in(page, customer)
            page.get_by_role("img", name="Last 24 hours").last.wait_for()
            expect(page.locator("main .bone")).to_have_count(0)
            if not name:
                page.screenshot(path=DOCS / "console-endpoints.png", clip={"x": 0, "y": 0, "width": width, "height": 400})
            page.get_by_role("link", name="archive").click()
            page.locator("tbody tr").first.wait_for()
            expect(page.locator("main .bone")).to_have_count(0)
            if name:
                page.screenshot(path=DOCS / f"console{name}.png")
            else:
                page.locator("tbody tr", has_text="HTTP 503").locator("a").first.click()
                page.locator("ol.attempts").wait_for()
                page.screenshot(path=DOCS / "console-delivery.png")
            page.unroute_all(behavior="ignoreErrors")
        browser.close()


if __name__ == "__main__":
    main()
