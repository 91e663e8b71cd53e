"""Delivers to a receiver that wants an access token, with the stack that $ECHO_STACK names. oauthlib gives the tokens and judges them, so
that a mistake of ours about RFC 6749 is not repeated here."""

import base64
import http.server
import json
import os
import threading
import time
import urllib.parse
from pathlib import Path

from oauthlib.oauth2 import BackendApplicationServer, RequestValidator

from conformance import Project
from console import Failed, main, step

CLIENT, SECRET, SCOPE = "the client:1", "s3cret&=+% ~", "hooks:write"


class Clients(RequestValidator):
    """One client, and the tokens that it got."""

    def __init__(self):
        self.tokens = set()

    def client_authentication_required(self, request, *args, **kwargs):
        return True

    def authenticate_client(self, request, *args, **kwargs):
        kind, _, basic = request.headers.get("authorization", "").partition(" ")
        if kind != "Basic":
            return False
        pair = [urllib.parse.unquote_plus(part) for part in base64.b64decode(basic).decode().split(":")]
        request.client = type("Client", (), {"client_id": pair[0]})
        return pair == [CLIENT, SECRET]

    def validate_grant_type(self, client_id, grant_type, client, request, *args, **kwargs):
        return grant_type == "client_credentials"

    def validate_scopes(self, client_id, scopes, client, request, *args, **kwargs):
        return scopes == [SCOPE]

    def get_default_scopes(self, client_id, request, *args, **kwargs):
        return []

    def save_bearer_token(self, token, request, *args, **kwargs):
        self.tokens.add(token["access_token"])

    def validate_bearer_token(self, token, scopes, request):
        return token in self.tokens


class Handler(http.server.BaseHTTPRequestHandler):
    """The token URL at `/token`, and the receiver at every other path."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        headers = {name.lower(): value for name, value in self.headers.items()}
        # oauthlib looks for this header by its usual spelling.
        headers["Authorization"] = headers.get("authorization", "")
        # oauthlib refuses plain HTTP, which loopback is exempt from.
        url, server = f"https://tokens.example{self.path}", self.server.oauth
        if self.path == "/token":
            told, body, status = server.create_token_response(url, "POST", body, headers)
        else:
            valid, _ = server.verify_request(url, "POST", None, headers, scopes=[SCOPE])
            told, body, status = {}, "", 204 if valid else 401
        self.send_response(status)
        for name, value in told.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body or "")))
        self.end_headers()
        self.wfile.write((body or "").encode())

    def log_message(self, *_):
        pass


def first_attempt(project, path):
    """The first attempt for a new event."""
    delivery = project.call(202, "POST", "/events", {"event_name": "call.ended"})["deliveries"][0]
    deadline = time.monotonic() + 60
    while not (attempts := project.call(200, "GET", f"{path}/deliveries/{delivery['id']}")["attempts"]):
        if time.monotonic() > deadline:
            raise Failed("no attempt was made within 60 s")
        time.sleep(0.1)
    return attempts[0]["http_status"], attempts[0]["error_message"]


def expect(wanted, seen, what):
    if seen != wanted:
        raise Failed(f"{what}: {seen} instead of {wanted}")


def check(project, server):
    origin = f"http://127.0.0.1:{server.server_port}"
    auth = {"type": "oauth2", "token_url": f"{origin}/token", "client_id": CLIENT, "client_secret": SECRET, "scope": SCOPE}
    wanted = {"url": f"{origin}/hook", "events": ["call.ended"], "auth": auth}
    path = f"/webhooks/{project.call(201, 'POST', '/webhooks', wanted)['id']}"
    expect((204, None), first_attempt(project, path), "with a token")
    # Every token that was given until now is revoked, whichever process has it.
    server.clients.tokens.clear()
    expect((204, None), first_attempt(project, path), "after its token was revoked")
    refused = "the token URL answered {}".format
    for change, told in [({"client_secret": "wrong"}, refused("401 invalid_client")), ({"scope": "all"}, refused("400 invalid_scope"))]:
        project.call(200, "PATCH", path, {"auth": auth | change})
        expect((None, told), first_attempt(project, path), str(change))
    project.call(204, "DELETE", path)


def body():
    project = Project(json.loads(Path(os.environ["ECHO_STACK"]).read_text()))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.clients = Clients()
        server.oauth = BackendApplicationServer(server.clients)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with step("deliveries to a receiver that wants an access token"):
            check(project, server)
        server.shutdown()


if __name__ == "__main__":
    main(body)
