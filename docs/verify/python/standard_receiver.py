"""A receiver that checks with the library of Standard Webhooks: pip install -r requirements.txt;
SECRET=whsec_… PORT=8080 python3 standard_receiver.py"""

import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

webhook = Webhook(os.environ["SECRET"])


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        raw_body = self.rfile.read(int(self.headers["content-length"]))
        try:
            event = webhook.verify(raw_body, {name.lower(): value for name, value in self.headers.items()})
            print(event["event_name"], self.headers["webhook-id"])  # skip the event if you have processed this id before
            self.send_response(204)
        except WebhookVerificationError:
            self.send_response(401)
        self.end_headers()


ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Receiver).serve_forever()
