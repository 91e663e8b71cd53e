"""A receiver that checks x-echo-signature, with nothing but Python: SECRET=whsec_… PORT=8080 python3 hmac_receiver.py"""

import hashlib
import hmac
import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def is_genuine(secret, headers, raw_body):
    expected = hmac.new(secret.encode(), raw_body, hashlib.sha256).hexdigest()
    # For a day after a rotation, the second header is signed with the secret before.
    names = ("x-echo-signature", "x-echo-signature-previous")
    return any(hmac.compare_digest(expected.encode(), headers.get(name, "").encode()) for name in names)


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        raw_body = self.rfile.read(int(self.headers["content-length"]))
        genuine = is_genuine(os.environ["SECRET"], self.headers, raw_body)
        if genuine:
            event = json.loads(raw_body)
            print(event["event_name"], self.headers["webhook-id"])  # skip the event if you have processed this id before
        self.send_response(204 if genuine else 401)
        self.end_headers()


ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Receiver).serve_forever()
