"""Runs the commands of README.md's section 'The life of a webhook', in their order and in one shell, with the stack that $ECHO_STACK
names. Each must succeed, as it must for a person who copies the whole section."""

import json
import os
import re
import tempfile
from pathlib import Path

import demo
from console import LOCAL, ROOT, Failed, main, run, say
from emulator import free_port
from receiver import Receiver

SECTION = "## The life of a webhook"


def commands(text):
    section = text.split(f"{SECTION}\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"^```sh\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)


def walk(blocks, stack):
    """Runs the blocks in a folder of their own, which they write to. Returns their output."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / ".local").mkdir()
        (Path(folder) / ".local/stack.json").write_text(json.dumps(stack))
        # curl itself takes a refusal for a success.
        (Path(folder) / ".curlrc").write_text("fail\nshow-error\n")
        shell = ["bash", "-euo", "pipefail", "-c", "\n".join(blocks)]
        log = LOCAL / "logs/walk.log"
        run(shell, log=log, hint=f"README.md, {SECTION[3:]}", seconds=120, cwd=folder, env=os.environ | {"CURL_HOME": folder})
    return log.read_text()


def body():
    blocks = commands((ROOT / "README.md").read_text())
    if len(blocks) < 5:
        raise Failed(f"README.md, {SECTION[3:]}: found only {len(blocks)} blocks of commands")
    stack = json.loads(Path(os.environ["ECHO_STACK"]).read_text())
    project, key = f"{stack['api_url']}/v1/projects/{stack['project_id']}", stack["api_key"]
    with Receiver(free_port()) as receiver:
        receiver.look_up = lambda: [endpoint["signing_secret"] for endpoint in demo.endpoints(project, key)]
        told = walk(blocks, stack | {"receiver_url": receiver.url})
        accepted = re.search(r'\{"event_id":"([^"]+)"[^\n]*"duplicate":false', told)
        if not accepted or not receiver.wait_for(accepted[1], 1):
            raise Failed(f"README.md, {SECTION[3:]}: the event did not arrive.\n{told}")
    if left := demo.endpoints(project, key):
        raise Failed(f"README.md, {SECTION[3:]}: {len(left)} endpoints are left")
    say(f"  {len(blocks)} blocks of commands work in their order")


if __name__ == "__main__":
    main(body)
