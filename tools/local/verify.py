"""Runs the receivers of docs/verify with the stack that $ECHO_STACK names. Each must accept a real delivery and refuse forged
requests. A language without installed tools is skipped, with a message."""

import base64
import contextlib
import hmac
import json
import os
import shutil
import time
import urllib.error
import urllib.request
from pathlib import Path

from conformance import Project
from console import LOCAL, ROOT, Failed, end, main, run, say, start, step
from emulator import free_port

EXAMPLES = ROOT / "docs/verify"
BUILT = LOCAL / "verify"
BODY = b'{"event_name": "call.ended"}'


def node():
    if not shutil.which("node") or not shutil.which("npm"):
        return None
    folder = BUILT / "node"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(EXAMPLES / "node", folder, ignore=shutil.ignore_patterns("node_modules"))
    run(["npm", "ci", "--silent", "--no-audit", "--no-fund"], log=BUILT / "npm.log", cwd=folder)
    return {kind: ["node", folder / f"{kind}.mjs"] for kind in ("hmac", "standard", "ed25519")}


def python():
    interpreter = LOCAL / "tools/conformance/bin/python"
    scripts = {kind: EXAMPLES / f"python/{kind}_receiver.py" for kind in ("hmac", "standard", "ed25519")}
    return {kind: [interpreter, script] for kind, script in scripts.items()}


def go():
    if not shutil.which("go"):
        return None
    for kind in ("hmac", "ed25519"):
        source = EXAMPLES / f"go/{kind}.go"
        run(["go", "vet", source], log=BUILT / "go.log")
        run(["go", "build", "-o", BUILT / f"go-{kind}", source], log=BUILT / "go.log")
    return {kind: [BUILT / f"go-{kind}"] for kind in ("hmac", "ed25519")}


def rust():
    kinds = ("hmac", "standard", "ed25519")
    run(["cargo", "build", "--quiet", "--workspace", *(f"--bin=verify-{kind}" for kind in kinds)], cwd=ROOT)
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug"
    return {kind: [target / f"verify-{kind}"] for kind in kinds}


@contextlib.contextmanager
def receiving(command, port, endpoint):
    log = (BUILT / "receivers.log").open("a")
    keys = {"SECRET": endpoint["signing_secret"], "PUBLIC_KEY": endpoint["public_key"], "PORT": str(port)}
    child = start(command, env=os.environ | keys, stdout=log, stderr=log)
    try:
        wait_for(lambda: status_of(port, {}) is not None, f"{command[-1]} does not listen")
        yield
    finally:
        end(child)


def status_of(port, headers):
    """The receiver's answer to a request that the service did not send."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/", BODY, headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


def wait_for(condition, otherwise):
    deadline = time.monotonic() + 60
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise Failed(f"{otherwise} after 60 s")
        time.sleep(0.1)
    return found


def first_status(project, path):
    """The receiver's answer to the first attempt for a new event."""
    delivery = project.call(202, "POST", "/events", {"event_name": "call.ended", "data": {"text": "é€😀"}})["deliveries"][0]
    path = f"{path}/deliveries/{delivery['id']}"
    return wait_for(lambda: project.call(200, "GET", path)["attempts"], "no attempt")[0]["http_status"]


def with_v1a_first(secret):
    """The headers of a genuine request whose first signature is one that a library knows only by the name of its kind."""
    sent_at = str(int(time.time()))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signature = hmac.digest(key, f"x.{sent_at}.".encode() + BODY, "sha256")
    signatures = ["v1a," + base64.b64encode(bytes(64)).decode(), "v1," + base64.b64encode(signature).decode()]
    return {"webhook-id": "x", "webhook-timestamp": sent_at, "webhook-signature": " ".join(signatures)}


def check(project, kind, command):
    port = free_port()
    # The service writes its v1a entry after the v1 entry.
    wanted = {"url": f"http://127.0.0.1:{port}/", "events": ["call.ended"], "ed25519": True}
    endpoint = project.call(201, "POST", "/webhooks", wanted)
    path = f"/webhooks/{endpoint['id']}"
    now = str(int(time.time()))
    forged = {
        "x-echo-signature": "0" * 64,
        "x-echo-signature-previous": "0" * 64,
        "webhook-id": "x",
        "webhook-timestamp": now,
        "webhook-signature": f"v1,AAAA v1a,AAAA v1a,{base64.b64encode(bytes(64)).decode()}",
    }
    with receiving(command, port, endpoint):
        seen = [status_of(port, {}), status_of(port, forged), first_status(project, path)]
        if kind == "standard":
            seen.append(status_of(port, with_v1a_first(endpoint["signing_secret"])))
        # After a rotation, the old secret and key still sign for a day, so a receiver that is left as it is accepts the delivery.
        project.call(200, "POST", f"{path}/secret/rotate")
        seen.append(first_status(project, path))
    project.call(200, "PATCH", path, {"status": "disabled"})
    expected = [401, 401, *[204] * (len(seen) - 2)]
    if seen != expected:
        raise Failed(f"{command[-1]} answered {seen} instead of {expected}")


def body():
    project = Project(json.loads(Path(os.environ["ECHO_STACK"]).read_text()))
    BUILT.mkdir(parents=True, exist_ok=True)
    for prepare in (node, python, go, rust):
        commands = prepare()
        if commands is None:
            say(f"  {prepare.__name__} is not installed, so its receivers are skipped")
        for kind, command in (commands or {}).items():
            with step(f"a delivery to the {prepare.__name__} receiver, checked by {kind}"):
                check(project, kind, command)


if __name__ == "__main__":
    main(body)
