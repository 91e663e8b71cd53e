"""The whole service on this machine, from the real template.yaml, without Docker and without an AWS account.

stack.py run                   start the service, show a delivery, and keep running (`make run`)
stack.py watch                 rebuild the api on each edit, with the tables and queues of `make run` (`make watch`)
stack.py logs                  follow the logs of the functions of `make run` (`make logs`)
stack.py test-env -- COMMAND   run COMMAND with a new stack of its own. $ECHO_STACK names the file that describes the stack
"""

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import demo
import deploy
import logs
from console import LOCAL, ROOT, Failed, Stop, bold, dim, end, main, say, start, step
from emulator import REGION, Emulator, environment, free_port, require_free
from receiver import Receiver

STACK_FILE = LOCAL / "stack.json"
TEST_PARAMETERS = {
    "RetryDelaysSeconds": "1,2,3",
    "RequestTimeoutSeconds": "3",
    "DisableAfterFailures": "3",
    "DisableAfterSeconds": "0",
    "MaxEndpointsPerProject": "50",
    # The tests make the project with this id.
    "OperatorProjectId": "01a20259-3a57-7c63-9fb6-0c94e1b2e278",
    "OperationalEventBusName": "default",
    # The tests of the portal play these sites inside the browser.
    "PortalFrameAncestors": "http://localhost:3000,http://127.0.0.1:3000",
    "PortalName": "Acme & Söhne",
    "PortalAccentColor": "#e0a100",
}


def describe(emulator, parameters):
    """The names and addresses inside the stack, for tests and tools."""
    names = deploy.resource_names(emulator)

    def of(suffix):
        return {name: value for name, value in names.items() if name.endswith(suffix)}

    return {
        "parameters": parameters,
        "aws": {
            "endpoint_url": emulator.url,
            "region": REGION,
            "access_key_id": "test",
            "secret_access_key": "test",
            "stack_name": deploy.STACK,
            "tables": of("Table"),
            "queues": of("Queue"),
            "functions": of("Function"),
            "root_secret": names["RootSecret"],
            "log": str(emulator.log),
        },
    }


def write(file, value):
    """Writes a file in one step, so that a process that waits for the file never reads half of it."""
    draft = file.with_suffix(".draft")
    draft.write_text(json.dumps(value, indent=2) + "\n")
    draft.replace(file)


@contextlib.contextmanager
def only_one():
    """Prevents two runs in one checkout, because both would write to the same state."""
    LOCAL.mkdir(exist_ok=True)
    with (LOCAL / "run.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Failed("another `make run` of this checkout is running. Stop it first.") from error
        yield


def run():
    begun, port, receiver_port = time.monotonic(), int(os.environ.get("PORT", "4566")), int(os.environ.get("RECEIVER_PORT", "8090"))
    folder = LOCAL / "state"
    with only_one(), contextlib.ExitStack() as stack:
        STACK_FILE.unlink(missing_ok=True)
        if os.environ.get("FRESH", "0") not in ("", "0"):
            shutil.rmtree(folder, ignore_errors=True)
        require_free(port, "PORT")
        require_free(receiver_port, "RECEIVER_PORT")
        parameters = deploy.parameters(deploy.LOCAL_DEFAULTS)
        zips = deploy.build(folder)
        receiver = stack.enter_context(Receiver(receiver_port))
        with step(f"starting the emulator on 127.0.0.1:{port}"):
            emulator = stack.enter_context(Emulator(port, folder))
        deploy.deploy(emulator, parameters, zips)
        api_url = deploy.api_url(emulator)
        try:
            known = demo.demonstrate(api_url, receiver, folder / "account.json")
        except Failed as failure:
            raise Failed(f"{failure}\n{logs.troubles(emulator)}") from failure
        demo.write_invocations(known, deploy.resource_names(emulator))
        stack.callback(STACK_FILE.unlink, missing_ok=True)
        write(STACK_FILE, {"api_url": api_url, **known, "receiver_url": receiver.url, **describe(emulator, parameters)})
        _say_ready(api_url, known, receiver.url, time.monotonic() - begun)
        with contextlib.suppress(Stop):
            while emulator.process.poll() is None:
                time.sleep(0.3)
            raise Failed(f"the emulator ended by itself. Its log: {emulator.log}")
        say("\nStopping. The next `make run` continues with the same accounts, endpoints and deliveries.")


def _say_ready(api_url, known, receiver_url, seconds):
    say(f"\n{bold(f'Echo Webhooks is up ({seconds:.0f} s).')}")
    rows = {
        "API URL": api_url,
        "Console": f"{api_url}/console",
        "Reference": f"{api_url}/docs",
        "API key": known["api_key"],
        "Project": known["project_id"],
        "Sign in": f"{known['email']}  {known['password']}",
        "Receiver": f"{receiver_url}  {dim('(its path /status/503 answers 503, to show retries)')}",
        "Logs": "make logs",
        "Details": STACK_FILE.relative_to(ROOT),
    }
    for name, value in rows.items():
        say(f"  {name:<10} {value}")
    say(f"""
Send another event:

  curl -s '{api_url}/v1/projects/{known["project_id"]}/events' \\
    -H 'x-api-key: {known["api_key"]}' -H 'content-type: application/json' \\
    -d '{{"event_name": "{demo.sample_event()["event_name"]}", "data": {{"hello": "world"}}}}'

Ctrl-C stops everything.""")


def running():
    """The emulator of the running `make run`, and its entry in the stack file."""
    if not STACK_FILE.exists():
        raise Failed("no `make run` is running. Start one in another terminal and wait until it is ready.")
    aws = json.loads(STACK_FILE.read_text())["aws"]
    return Emulator(int(aws["endpoint_url"].rsplit(":", 1)[1]), LOCAL / "state"), aws


def watch():
    (emulator, aws), port = running(), int(os.environ.get("WATCH_PORT", "9000"))
    require_free(port, "WATCH_PORT")
    tools, aws_lambda = LOCAL / "tools/local/bin", emulator.client("lambda")
    env = environment(emulator.port) | {"PATH": f"{tools}:{os.environ['PATH']}"}
    for name in aws["functions"].values():
        env |= aws_lambda.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    env["RUST_LOG"] += ",watchexec=warn,watchexec_supervisor=warn"
    say(f"""The api, with the tables and queues of `make run`. It is rebuilt on each edit, and the first request compiles it:

  {bold(f"http://127.0.0.1:{port}")}

To invoke the functions with recorded requests, run in another terminal:

  export PATH="{tools.relative_to(ROOT)}:$PATH"
  cargo lambda invoke api --data-file .local/events/api-post-event.json -A 127.0.0.1 -P {port}
  cargo lambda invoke delivery --data-file .local/events/delivery-retry.json -A 127.0.0.1 -P {port}
""")
    child = start(["cargo", "lambda", "watch", "--invoke-address", "127.0.0.1", "--invoke-port", port], env=env, cwd=ROOT)
    try:
        with contextlib.suppress(Stop):
            return child.wait()
    finally:
        end(child)


def test_env(command):
    """Runs a command with a stack on its own ports and with its own state, which is deleted afterwards. `make run` can run beside it."""
    if not command:
        raise Failed("usage: stack.py test-env -- COMMAND …")
    (LOCAL / "test").mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=LOCAL / "test"))
    done = False
    try:
        parameters = deploy.parameters(deploy.LOCAL_DEFAULTS | TEST_PARAMETERS)
        zips = deploy.build(folder)
        with Emulator(free_port(), folder, keep=False) as emulator:
            deploy.deploy(emulator, parameters, zips)
            api_url, file = deploy.api_url(emulator), folder / "stack.json"
            write(file, {"api_url": api_url, **demo.sign_up(api_url), "receiver_url": None, **describe(emulator, parameters)})
            child = start(command, env=os.environ | {"ECHO_STACK": str(file)}, cwd=ROOT, stdin=subprocess.DEVNULL)
            try:
                code = child.wait()
            finally:
                end(child)
                logs.save(emulator, folder / "functions.log")
        done = code == 0
        return code
    finally:
        if done:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            shutil.rmtree(folder / "build", ignore_errors=True)
            say(f"The logs of this stack are kept in {folder.relative_to(ROOT)}.")


def body():
    match sys.argv[1:]:
        case ["run"]:
            return run()
        case ["watch"]:
            return watch()
        case ["logs"]:
            with contextlib.suppress(Stop):
                logs.follow(running()[0])
            return 0
        case ["test-env", "--", *command]:
            return test_env(command)
    say(__doc__)
    return 2


if __name__ == "__main__":
    main(body)
