"""Compiles the examples of docs/clients with the clients that clients.py makes, and runs them with the stack that $ECHO_STACK names.

tour.py compile                         makes the clients, checks the examples' types and compiles them
stack.py test-env -- PYTHON tour.py     runs them, while some of their posts fail
"""

import contextlib
import http.client
import http.server
import json
import os
import re
import shutil
import sys
import threading
from pathlib import Path
from urllib.parse import urlsplit

import clients
from conformance import Project
from console import LOCAL, ROOT, Failed, Job, main, run, run_together, step

EXAMPLES = ROOT / "docs/clients"
BUILT = LOCAL / "clients"
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
PYTHON_EXAMPLE = EXAMPLES / "python/tour.py"
PYTHON_CLIENT = clients.MADE / "python"
COMMANDS = {
    "typescript": ["node", BUILT / "typescript/tour.js"],
    "python": [clients.PYTHON_TOOLS / "python", PYTHON_EXAMPLE],
    "rust": [TARGET / "debug/echo-webhooks-tour"],
}
# What each example prints. The message is that of contract §3.
SAID = re.compile(
    r"refused: 400 url must use https\n"
    r"accepted: (?P<event>[0-9a-f-]{36}) duplicate: (?i:true)\n"
    r"delivery: success\n"
    r"attempt: 1 204 auto\n"
)


def typescript():
    folder = BUILT / "typescript"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for file in (EXAMPLES / "typescript/tour.ts", clients.MADE / "typescript/echo-webhooks.d.ts"):
        shutil.copy(file, folder)
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "node_modules").symlink_to(clients.NPM_TOOLS)
    options = ["--strict", "--skipLibCheck", "--target", "es2022", "--module", "nodenext", "--types", "node"]
    return Job([clients.NPM_TOOLS / ".bin/tsc", *options, "tour.ts"], clients.log("tsc"), options={"cwd": folder})


def python():
    command = [clients.PYTHON_TOOLS / "mypy", "--strict", "--cache-dir", BUILT / "mypy", PYTHON_EXAMPLE]
    return Job(command, clients.log("mypy"), options={"env": os.environ | {"MYPYPATH": str(PYTHON_CLIENT)}})


def rust():
    manifest = EXAMPLES / "rust/Cargo.toml"
    hint = f"If the version of the API has changed: cargo update --workspace --manifest-path {manifest.relative_to(ROOT)}"
    return Job(["cargo", "build", "--locked", "--manifest-path", manifest, "--target-dir", TARGET], clients.log("cargo"), hint)


def compile_all():
    clients.make(list(clients.LANGUAGES))
    with step("compiling the examples"):
        run_together([typescript(), python(), rust()])


class Handler(http.server.BaseHTTPRequestHandler):
    def body(self):
        return self.rfile.read(int(self.headers.get("content-length", 0)))

    def log_message(self, *_):
        pass


class Receiver(Handler):
    """Accepts every request, and keeps the ids of the events."""

    def do_POST(self):
        self.body()
        self.server.events.append(self.headers["webhook-id"])
        self.send_response(204)
        self.end_headers()


class Gateway(Handler):
    """Passes requests on to the API. The first posts of events meet the `faults` of the server, one each."""

    def do_GET(self):
        self.answer(*self.passed_on())

    def do_DELETE(self):
        self.do_GET()

    def do_POST(self):
        if self.path.endswith("/events") and self.server.faults and (fault := self.server.faults.pop(0)):
            self.answer(*fault(self))
        else:
            self.do_GET()

    def passed_on(self):
        headers = {name: self.headers[name] for name in ("x-api-key", "content-type") if name in self.headers}
        api = http.client.HTTPConnection(self.server.api, timeout=30)
        api.request(self.command, self.path, self.body(), headers)
        answer = api.getresponse()
        return answer.status, answer.read()

    def answer(self, status, body):
        if not status:
            return
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def instead(status, body):
    """The fault in which something before the service answers."""

    def fault(gateway):
        gateway.body()
        return status, body

    return fault


def lost(gateway):
    """The fault in which the service takes the event, and its answer is lost."""
    gateway.passed_on()
    return None, b""


A_500 = b'{"statusCode":500,"message":"Something went wrong on our side","error":"Internal Server Error"}'
# An example posts its event twice. None is a post that meets no fault. The pauses of an example double, so each post meets few.
FAULTS = [instead(500, A_500), lost, None, instead(502, b"<html>"), None]


@contextlib.contextmanager
def serving(handler, **state):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        vars(server).update(state)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def check(project, env, receiver, language):
    log = clients.log(f"tour-{language}")
    # Unbuffered, so that an example that is ended leaves its output in the log.
    run(COMMANDS[language], log=log, seconds=60, env=os.environ | env | {"PYTHONPATH": str(PYTHON_CLIENT), "PYTHONUNBUFFERED": "1"})
    said = SAID.fullmatch(log.read_text())
    if not said:
        raise Failed(f"the example printed:\n{log.read_text()}")
    if receiver.events.count(said["event"]) != 1:
        raise Failed(f"the receiver got {receiver.events} instead of {said['event']}")
    if left := project.call(200, "GET", "/webhooks"):
        raise Failed(f"the example left {len(left)} endpoints behind")


def run_all():
    stack = json.loads(Path(os.environ["ECHO_STACK"]).read_text())
    api = urlsplit(stack["api_url"])
    with serving(Receiver, events=[]) as receiver, serving(Gateway, api=api.netloc, faults=[]) as gateway:
        env = {
            "ECHO_API_URL": f"http://127.0.0.1:{gateway.server_port}{api.path}",
            "ECHO_API_KEY": stack["api_key"],
            "ECHO_PROJECT_ID": stack["project_id"],
            "RECEIVER_URL": f"http://127.0.0.1:{receiver.server_port}/",
        }
        for language in COMMANDS:
            with step(f"the life of a webhook by the {language} client, with faults"):
                gateway.faults = list(FAULTS)
                check(Project(stack), env, receiver, language)
                if gateway.faults:
                    raise Failed(f"the example sent {len(FAULTS) - len(gateway.faults)} posts instead of {len(FAULTS)}")


if __name__ == "__main__":
    main(compile_all if sys.argv[1:] == ["compile"] else run_all)
