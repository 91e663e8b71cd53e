"""A demo receiver. It verifies each delivery, prints it, and answers 200.

`/status/503` (or any other number) answers with that status instead, to watch retries.
"""

import hashlib
import hmac
import http.server
import re
import threading
import time

from console import bold, dim, green, red, say

SHOWN_BYTES = 4_000


class Receiver:
    """Listens inside a `with` block. `look_up` returns the current signing secrets, which a rotation changes."""

    path = "/webhook"

    def __init__(self, port):
        self.url = f"http://127.0.0.1:{port}{self.path}"
        self.look_up, self._secrets = list, []
        self._verified, self._news = set(), threading.Condition()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._server.daemon_threads = True

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    def wait_for(self, event_id, seconds):
        """Waits for this event with a valid signature. Returns whether it arrived in time."""
        with self._news:
            return self._news.wait_for(lambda: event_id in self._verified, seconds)

    def is_signed(self, body, signature):
        def holds(secret):
            return hmac.compare_digest(hmac.new(secret.encode(), body, hashlib.sha256).hexdigest(), signature)

        if not any(map(holds, self._secrets)):
            self._secrets = self.look_up()
        return any(map(holds, self._secrets))

    def _handler(self):
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                verified = receiver.is_signed(body, self.headers.get("x-echo-signature", ""))
                told = re.fullmatch(r"/status/([1-5]\d\d)", self.path)
                status = int(told[1]) if told else 200
                show(self.path, self.headers, body, verified, status)
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()
                if verified:
                    with receiver._news:
                        receiver._verified.add(self.headers.get("webhook-id"))
                        receiver._news.notify_all()

            def log_message(self, *_):
                pass

        return Handler


def show(path, headers, body, verified, status):
    mark = green("✓ x-echo-signature verified") if verified else red("✗ not signed with the secret of any endpoint")
    lines = [f"\n{dim(time.strftime('%H:%M:%S'))} {bold('received')} POST {path}  {mark}  {dim(f'answered {status}')}"]
    lines += [f"  {dim(name)}: {value}" for name, value in headers.items() if name.lower().startswith(("x-echo-", "webhook-"))]
    # The body's own bytes: parsing and printing it again would change numbers such as 1.10.
    text = body[:SHOWN_BYTES].decode(errors="backslashreplace")
    lines += [f"  {row}" for row in text.splitlines()]
    lines += [dim(f"  … {len(body) - SHOWN_BYTES} more bytes")] if len(body) > SHOWN_BYTES else []
    say("\n".join(lines))
