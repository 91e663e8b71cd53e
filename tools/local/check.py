"""All checks of a change, the fast ones first. `check.py lint` runs only the lints; `check.py beside` is how it starts itself."""

import contextlib
import itertools
import json
import os
import shutil
import subprocess
import sys
import time

import browser
import setup
from console import LOCAL, ROOT, Failed, bold, dim, end, green, main, red, run, say, start

TOOLS = LOCAL / "tools"
ENVIRONMENT = {"AWS_DEFAULT_REGION": "us-east-1", "SAM_CLI_TELEMETRY": "0", "RUSTDOCFLAGS": "-D warnings"}
STACK = [TOOLS / "local/bin/python", "tools/local/stack.py"]
TARGET = os.environ.get("CARGO_TARGET_DIR", ROOT / "target")
# The steps after the unit tests mostly wait. So a process of its own runs these, which are half of them, beside the others.
BESIDE = ("crash points", "console in a browser", "clients")
BESIDE_LOG, BESIDE_RESULTS = LOCAL / "logs/beside.log", LOCAL / "logs/beside.json"
NO_NPM = "npm is not installed. It comes with Node.js."
# A workspace of its own. Its lints compile everything that it has; its tests run before its measurements.
BENCH = ["--manifest-path", "tools/bench/Cargo.toml"]


def has(subcommand):
    return subprocess.run(["cargo", subcommand, "--version"], check=False, capture_output=True).returncode == 0


class OutOfReach(str):
    """The reason why a step cannot run that depends on a server which need not be within reach, not even of CI."""


def advisories():
    """The commands that compare the dependencies with RustSec's advisories, after fetching these."""
    fetch = ["cargo", "deny", "fetch", "db"]
    try:
        subprocess.run(fetch, check=True, capture_output=True, timeout=60)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        return OutOfReach(f"RustSec's database cannot be fetched from here: `{' '.join(fetch)}` says why.")
    return [["cargo", "deny", "--offline", *one, "check", "advisories"] for one in ([], [*BENCH, "--config", "deny.toml"])]


def cargo_test(end_to_end):
    """Always builds the whole workspace: a part of it would compile its dependencies again with other features."""
    if has("nextest"):
        return ["cargo", "nextest", "run", "--workspace", "-E", f"{'' if end_to_end else 'not '}package(echo-tests)"]
    if end_to_end:
        # These tests mostly wait, so more of them than there are cores can run at once.
        return ["cargo", "test", "-p", "echo-tests", "--", "--test-threads=8"]
    return ["cargo", "test", "--workspace", "--exclude", "echo-tests"]


LINTS = {
    "formatting": [
        *(["cargo", "fmt", "--all", *one, "--check"] for one in ([], BENCH)),
        # Its crate can be read only after `make clients`.
        ["rustfmt", "--edition", "2024", "--check", "docs/clients/rust/src/main.rs"],
    ],
    "Python": [[TOOLS / "lint/bin/ruff", "check"], [TOOLS / "lint/bin/ruff", "format", "--check"]],
    "JavaScript": [
        [TOOLS / "biome/node_modules/.bin/biome", "check", "--error-on-warnings", "functions/api", "docs/verify", "docs/clients"],
    ],
    "template": [
        [TOOLS / "sam/bin/sam", "validate", "--lint"],
        [TOOLS / "local/bin/cfn-lint", "template.yaml", "tools/smoke/receiver.yaml"],
    ],
    # `skip-download`: it asks no server for rules or guides.
    "checkov": [
        [TOOLS / "checkov/bin/checkov", "-f", "template.yaml", "--framework", "cloudformation", "--skip-download", "--compact", "--quiet"],
    ],
    "pages": [[TOOLS / "local/bin/python", f"tools/local/{page}.py"] for page in ("runbook", "paths", "contract", "links")],
    "clippy": [
        ["cargo", "clippy", *one, "--workspace", "--all-targets", "--", "-D", "warnings"] for one in ([], [*BENCH, "--target-dir", TARGET])
    ],
    "docs": [["cargo", "doc", "--workspace", "--no-deps", "--document-private-items"]],
}


def lints():
    """The name of each step with its commands, or with the reason why this machine cannot run it."""
    for name, commands in LINTS.items():
        yield name, NO_NPM if name == "JavaScript" and not shutil.which("npm") else commands
    deny = [["cargo", "deny", *one, "check", "bans", "licenses", "sources"] for one in ([], [*BENCH, "--config", "deny.toml"])]
    no_deny = None if has("deny") else "cargo-deny is not installed. To install it: cargo install cargo-deny --locked"
    yield "dependencies", no_deny or deny
    yield "advisories", no_deny or advisories()


def tests(chromium):
    """Like `lints`."""
    # Some unit tests run the functions' binaries.
    yield "unit tests", [["cargo", "build", "--workspace", "--bins"], cargo_test(end_to_end=False)]
    yield "crash points", [[f"{TARGET}/debug/faults", "--bounded", "--minutes", "5"]]
    yield "end-to-end tests", [[*STACK, "test-env", "--", *cargo_test(end_to_end=True)]]
    pytest = [TOOLS / "browser/bin/python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "4", "tests/console"]
    in_browser = [[*STACK, "test-env", "--", "env", f"CHROMIUM={chromium}", *pytest]]
    yield "console in a browser", in_browser if chromium else f"no Chromium or Chrome is installed. {browser.advice()}"
    verify = [TOOLS / "local/bin/python", "tools/local/verify.py"]
    yield "receivers", [[*STACK, "test-env", "--", *verify]]
    yield "access tokens", [[*STACK, "test-env", "--", TOOLS / "local/bin/python", "tools/local/oauth2.py"]]
    tour = [TOOLS / "local/bin/python", "tools/local/tour.py"]
    clients = [[TOOLS / "local/bin/python", "tools/local/test_clients.py"], [*tour, "compile"], [*STACK, "test-env", "--", *tour]]
    yield "clients", clients if shutil.which("npm") else NO_NPM
    yield "README", [[*STACK, "test-env", "--", TOOLS / "local/bin/python", "tools/local/walk.py"]]
    python = TOOLS / "local/bin/python"
    yield "smoke", [[python, "-m", "unittest", "tools/smoke/test_smoke.py"], [*STACK, "test-env", "--", python, "tools/smoke"]]
    conformance = [TOOLS / "local/bin/python", "tools/local/conformance.py"]
    yield "API description", [[*STACK, "test-env", "--", *conformance]]


def prepare(lint_only):
    """Installs the tools, if that needs no password. Returns the path of a browser, or None if there is no browser."""
    npm = bool(shutil.which("npm"))
    linters = ["lint", "checkov", *["biome"] * npm]
    others = ["browser", "conformance", "clients", *["clients-npm"] * npm]
    setup.body(["sam", "local", *linters] if lint_only else ["sam", "local", *linters, *others])
    return None if lint_only else browser.get()


def walk(planned):
    """Runs steps until one fails. Returns name, result and seconds of each."""
    results, begun = [], time.monotonic()
    for name, commands in planned:
        if isinstance(commands, str):
            results.append((name, f"skipped: {commands}", 0))
            continue
        say(f"\n{bold(f'== {name}')} {dim(f'({time.monotonic() - begun:.0f} s so far)')}")
        started = time.monotonic()
        try:
            for command in commands:
                say(dim("$ " + " ".join(str(part).replace(f"{ROOT}/", "") for part in command)))
                run(command, cwd=ROOT, env=os.environ | ENVIRONMENT)
            results.append((name, green("ok"), time.monotonic() - started))
        except Failed as failure:
            say(failure)
            results.append((name, red("FAILED"), time.monotonic() - started))
            break
    return results


def failed(results):
    return any("FAILED" in result for _, result, _ in results)


def summary(results, seconds):
    say(f"\n{bold('== summary')}")
    for name, result, took in [*results, ("total", "", seconds)]:
        say(f"  {name:<20} {took:6.1f} s  {result}")


@contextlib.contextmanager
def beside(chromium):
    """Runs the steps of BESIDE meanwhile. Gives the process, whose output and results are in two files."""
    env = os.environ | ({"CHROMIUM": str(chromium)} if chromium else {})
    BESIDE_LOG.parent.mkdir(parents=True, exist_ok=True)
    BESIDE_RESULTS.unlink(missing_ok=True)
    with BESIDE_LOG.open("w") as sink:
        child = start([sys.executable, __file__, "beside"], stdout=sink, stderr=subprocess.STDOUT, env=env)
    try:
        yield child
    finally:
        end(child, patience=60)


def walk_with_beside(planned, chromium):
    with beside(chromium) as child:
        say(f"\n{bold('== meanwhile')} {' and '.join(BESIDE)}, into {BESIDE_LOG.relative_to(ROOT)}")
        results = walk(planned)
        code = child.wait()
    if code:
        say(f"\n{bold(f'== {BESIDE_LOG.relative_to(ROOT)}')}\n{BESIDE_LOG.read_text(errors='replace')}")
    known = BESIDE_RESULTS.exists()
    return results + (json.loads(BESIDE_RESULTS.read_text()) if known else [(" and ".join(BESIDE), red("FAILED"), 0)])


def body():
    begun = time.monotonic()
    if sys.argv[1:] == ["beside"]:
        results = walk([step for step in tests(os.environ.get("CHROMIUM")) if step[0] in BESIDE])
        BESIDE_RESULTS.write_text(json.dumps(results))
        return failed(results)
    lint_only = sys.argv[1:] == ["lint"]
    chromium = prepare(lint_only)
    planned = [*lints(), *([] if lint_only else tests(chromium))]
    missing = [f"{name}: {why}" for name, why in planned if isinstance(why, str) and not isinstance(why, OutOfReach)]
    if missing and os.environ.get("CI"):
        # Nobody reads the summary of a CI run that succeeds.
        raise Failed("\n".join(["CI leaves out no step, and these steps cannot run:", *missing]))
    alone = list(itertools.takewhile(lambda step: step[0] not in BESIDE, planned))
    others = [step for step in planned[len(alone) :] if step[0] not in BESIDE]
    results = walk(alone)
    if others and not failed(results):
        results += walk_with_beside(others, chromium)
    summary(results, time.monotonic() - begun)
    return failed(results)


if __name__ == "__main__":
    main(body)
