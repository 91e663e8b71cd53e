"""A receiver that checks the Ed25519 signature, with cryptography: pip install -r requirements.txt;
PUBLIC_KEY=whpk_… PORT=8080 python3 ed25519_receiver.py"""

import binascii
import json
import os
import time
from base64 import b64decode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

TOLERANCE_SECONDS = 5 * 60
public_key = Ed25519PublicKey.from_public_bytes(b64decode(os.environ["PUBLIC_KEY"].removeprefix("whpk_")))


def is_genuine(headers, raw_body):
    sent_at = headers.get("webhook-timestamp", "")
    if not sent_at.isdecimal() or abs(time.time() - int(sent_at)) > TOLERANCE_SECONDS:
        return False
    signed = f"{headers.get('webhook-id', '')}.{sent_at}.".encode() + raw_body
    # There are entries of other kinds, and for a day after a rotation another one by the key before.
    for entry in headers.get("webhook-signature", "").split(" "):
        version, _, signature = entry.partition(",")
        if version == "v1a":
            try:
                public_key.verify(b64decode(signature), signed)
                return True
            except (InvalidSignature, binascii.Error):
                continue
    return False


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        raw_body = self.rfile.read(int(self.headers["content-length"]))
        genuine = is_genuine(self.headers, raw_body)
        if genuine:
            event = json.loads(raw_body)
            print(event["event_name"], self.headers["webhook-id"])  # skip the event if you have processed this id before
        self.send_response(204 if genuine else 401)
        self.end_headers()


ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Receiver).serve_forever()
