"""Fixtures: a real browser, the deployed service, and receivers whose answers a test sets."""

import http.server
import json
import os
import re
import sys
import threading
import time
from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools/local"))

import browser as chromium
import demo

PATIENCE_MS = 20_000
SECRETS = re.compile(r"echo_[0-9a-f]{64}|portal_[0-9a-f]{64}|whsec_[0-9a-f]{16}|eyJ[\w-]{10,}|[?#].*password", re.IGNORECASE)
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="session")
def api_url():
    return json.loads(Path(os.environ["ECHO_STACK"]).read_text())["api_url"]


@pytest.fixture(scope="session")
def chrome():
    with sync_playwright() as playwright:
        # Chromium's sandbox does not work for root, and CI runs as root. The browser opens only the pages of this service.
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=chromium.find(), args=options)
        yield browser
        browser.close()


class Receiver:
    """A customer's server. `answer` is a status and a body, or a function that makes them from a request's body."""

    def __init__(self):
        self.requests, self.answer, self.headers = [], (200, b'{"received":true}'), {}
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.requests.append((self.headers, body))
                status, text = receiver.answer(body) if callable(receiver.answer) else receiver.answer
                self.send_response(status)
                self.send_header("content-length", str(len(text)))
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()


class Customer:
    """A new account, and its calls of the API."""

    def __init__(self, api_url):
        self.__dict__ |= demo.sign_up(api_url)
        self.api_url = api_url
        self.path = f"{api_url}/v1/projects/{self.project_id}"

    def call(self, method, rest, body=None, status=None):
        answer = demo.call(method, f"{self.path}{rest}", body, x_api_key=self.api_key)
        return demo.expect(status, answer, f"{method} {rest}") if status else answer

    def endpoint(self, url, events=("call.ended", "call.summary")):
        return self.call("POST", "/webhooks", {"url": url, "events": list(events)}, 201)

    def emit(self, name="call.ended", data=None):
        return self.call("POST", "/events", {"event_name": name, "data": data or {"call_id": "call_1"}}, 202)

    def settled(self, endpoint, count):
        """Waits until this many deliveries have ended."""
        deadline = time.monotonic() + PATIENCE_MS / 1_000
        while time.monotonic() < deadline:
            rows = self.call("GET", f"/webhooks/{endpoint['id']}/deliveries", status=200)["data"]
            ended = [row for row in rows if row["status"] in ("success", "failed")]
            if len(ended) >= count:
                return ended
            time.sleep(0.2)
        raise AssertionError(f"{count} deliveries did not end: {rows}")

    def retry(self, endpoint, delivery):
        """Asks for a manual attempt. A delivery that has just failed answers 503 until its failure is counted."""
        deadline = time.monotonic() + PATIENCE_MS / 1_000
        path = f"/webhooks/{endpoint['id']}/deliveries/{delivery['id']}/retry"
        while (answer := self.call("POST", path))[0] == 503 and time.monotonic() < deadline:
            time.sleep(0.2)
        return demo.expect(202, answer, f"POST {path}")

    def counted(self, endpoint, attempts):
        """Waits until this many attempts are in the endpoint's hourly counts."""
        deadline = time.monotonic() + PATIENCE_MS / 1_000
        while time.monotonic() < deadline:
            stats = self.call("GET", f"/webhooks/{endpoint['id']}/stats", status=200)
            if stats["total"]["attempts"] >= attempts:
                return stats
            time.sleep(0.2)
        raise AssertionError(f"{attempts} attempts were not counted: {stats}")


@pytest.fixture
def customer(api_url):
    return Customer(api_url)


@pytest.fixture
def open_page(chrome, api_url):
    """Opens the console. Afterwards checks that the browser logged no error and no request refused by the page's policy, and that no
    secret is in permanent storage or in an address."""
    opened = []

    def open_page(path="/console", **options):
        context = chrome.new_context(permissions=["clipboard-read", "clipboard-write"], **options)
        page, told, addresses = context.new_page(), [], []
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: told.append(f"uncaught: {error}"))
        # The browser also logs each refusal of the API. Tests cause those on purpose.
        page.on(
            "console", lambda line: told.append(line.text) if line.type in ("error", "warning") and "status of" not in line.text else None
        )
        page.on("request", lambda request: addresses.append(request.url))
        page.on("framenavigated", lambda frame: addresses.append(frame.url))
        opened.append((context, page, told, addresses))
        page.goto(f"{api_url}{path}")
        return page

    yield open_page
    for context, page, told, addresses in opened:
        told += [f"local storage: {entry}" for entry in page.evaluate("Object.keys(localStorage)")]
        told += [f"a cookie: {cookie['name']}" for cookie in context.cookies()]
        told += [f"a secret in an address: {address}" for address in addresses if SECRETS.search(address)]
        told += [f"asked elsewhere: {address}" for address in addresses if not address.startswith((api_url, "data:", "about:"))]
        # A played answer may be under way.
        page.unroute_all(behavior="ignoreErrors")
        context.close()
        assert told == []


@pytest.fixture
def signed_in(open_page, customer):
    """Opens the console and signs in as the customer."""

    def signed_in(**options):
        page = open_page(**options)
        sign_in(page, customer)
        expect(page.get_by_role("heading", name="Endpoints")).to_be_visible()
        return page

    return signed_in


def until(page, condition):
    """Waits until JavaScript's condition holds. Playwright's own function for this is refused by the page's policy."""
    deadline = time.monotonic() + PATIENCE_MS / 1_000
    while not page.evaluate(condition):
        assert time.monotonic() < deadline, f"{condition} did not come to hold"
        page.wait_for_timeout(50)


def sign_in(page, customer, password=None):
    page.get_by_label("E-mail").fill(customer.email)
    page.get_by_label("Password").fill(password or customer.password)
    page.get_by_role("button", name="Sign in").click()
