"""Compiles the examples of docs/clients with the clients that clients.py makes, and runs them with the stack that $ECHO_STACK names.

tour.py compile                         makes the clients, checks the examples' types and compiles them
stack.py test-env -- PYTHON tour.py     runs them
"""

import concurrent.futures
import contextlib
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import clients
from conformance import Project
from console import LOCAL, ROOT, Failed, main, run, step

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
    run([clients.NPM_TOOLS / ".bin/tsc", *options, "tour.ts"], log=clients.log("tsc"), cwd=folder)


def python():
    command = [clients.PYTHON_TOOLS / "mypy", "--strict", "--cache-dir", BUILT / "mypy", PYTHON_EXAMPLE]
    run(command, log=clients.log("mypy"), env=os.environ | {"MYPYPATH": str(PYTHON_CLIENT)})


def rust():
    manifest = EXAMPLES / "rust/Cargo.toml"
    hint = f"If the version of the API has changed: cargo update --workspace --manifest-path {manifest.relative_to(ROOT)}"
    run(["cargo", "build", "--locked", "--manifest-path", manifest, "--target-dir", TARGET], log=clients.log("cargo"), hint=hint)


def compile_all():
    clients.make(list(clients.LANGUAGES))
    with step("compiling the examples"), concurrent.futures.ThreadPoolExecutor() as pool:
        for each in [pool.submit(one) for one in (typescript, python, rust)]:
            each.result()


class Receiver(http.server.BaseHTTPRequestHandler):
    """Accepts every request, and keeps the ids of the events."""

    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.server.events.append(self.headers["webhook-id"])
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def receiving():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        server.events = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def check(project, env, server, command):
    env = os.environ | env | {"PYTHONPATH": str(PYTHON_CLIENT), "RECEIVER_URL": f"http://127.0.0.1:{server.server_port}/"}
    done = subprocess.run([str(part) for part in command], env=env, capture_output=True, text=True, timeout=60, check=False)
    said = SAID.fullmatch(done.stdout)
    if done.returncode or not said:
        raise Failed(f"the example ended with {done.returncode} and printed:\n{done.stdout}{done.stderr}")
    if server.events.count(said["event"]) != 1:
        raise Failed(f"the receiver got {server.events} instead of {said['event']}")
    if left := project.call(200, "GET", "/webhooks"):
        raise Failed(f"the example left {len(left)} endpoints behind")


def run_all():
    stack = json.loads(Path(os.environ["ECHO_STACK"]).read_text())
    env = {"ECHO_API_URL": stack["api_url"], "ECHO_API_KEY": stack["api_key"], "ECHO_PROJECT_ID": stack["project_id"]}
    with receiving() as server:
        for language, command in COMMANDS.items():
            with step(f"the life of a webhook by the {language} client"):
                check(Project(stack), env, server, command)


if __name__ == "__main__":
    main(compile_all if sys.argv[1:] == ["compile"] else run_all)
