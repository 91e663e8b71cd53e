"""Installs the pinned tools into .local/tools, each into a folder of its own, and again only when its requirements change."""

import hashlib
import shutil
import sys

from console import LOCAL, ROOT, Failed, end, main, start, step

TOOLS = LOCAL / "tools"
WHAT = {
    "sam": "aws-sam-cli",
    "local": "the emulator and cargo-lambda",
    "lint": "ruff",
    "checkov": "checkov",
    "biome": "biome",
    "browser": "the browser's driver",
    "conformance": "schemathesis",
    "clients": "the generators of clients",
    "clients-npm": "the generator of the TypeScript client",
}
# The tools that npm installs, and the folders of their two files.
NPM = {"biome": "tools/biome", "clients-npm": "tools/clients"}


def requirements(name):
    """The file that pins a tool and everything it depends on, with hashes."""
    return ROOT / (f"{NPM[name]}/package-lock.json" if name in NPM else f"tools/requirements-{name}.txt")


def installation(name):
    """The command that installs a tool. The files name everything that is needed, so nothing is left to resolve."""
    if name in NPM:
        # npm looks for its two files in the folder that it installs into.
        script = 'mkdir -p "$0" && cp "$1"/package*.json "$0" && cd "$0" && exec npm ci --ignore-scripts --no-audit --no-fund'
        return ["sh", "-c", script, TOOLS / name, requirements(name).parent]
    pip = "-m pip install --disable-pip-version-check --no-deps --require-hashes"
    script = f'"$0" -m venv "$1" && exec "$1/bin/python" {pip} -r "$2"'
    return ["sh", "-c", script, sys.executable, TOOLS / name, requirements(name)]


def wanted(name):
    return hashlib.sha256(requirements(name).read_bytes() + sys.version.encode()).hexdigest()


def stamp(name):
    return TOOLS / name / "installed.sha256"


def install(names):
    """Installs tools at the same time, because most of the time is spent waiting for the network."""
    children = {}
    try:
        for name in names:
            shutil.rmtree(TOOLS / name, ignore_errors=True)
            log = LOCAL / "logs" / f"setup-{name}.log"
            log.parent.mkdir(parents=True, exist_ok=True)
            children[name] = start(installation(name), stdout=log.open("w"), stderr=-2), log
        for name, (child, log) in children.items():
            if child.wait():
                hint = "Is a package index within reach? For Python's tools, is python3-venv installed?"
                raise Failed("\n".join(["setting up the tools failed:", *log.read_text().splitlines()[-15:], hint]))
            stamp(name).write_text(wanted(name))
    finally:
        for child, _ in children.values():
            end(child)


def for_clients(languages):
    """The tools that make clients in these languages."""
    return ["clients-npm"] * ("typescript" in languages) + ["clients"] * bool(set(languages) - {"typescript"})


def body(names=("sam", "local")):
    if sys.version_info < (3, 11):  # noqa: UP036 (an older Python does run this line)
        raise Failed(f"Python 3.11 or newer is needed; this is {sys.version.split()[0]}.")
    # The emulator runs the compiled functions, and `sam` deploys them.
    for tool in ("cargo", "cc", "strip") if {"sam", "local"} & set(names) else ():
        if not shutil.which(tool):
            raise Failed(f"`{tool}` is missing. Needed: Rust, and a C compiler with binutils (Debian: build-essential).")
    if NPM.keys() & set(names) and not shutil.which("npm"):
        raise Failed("`npm` is missing. It comes with Node.js.")
    stale = [name for name in names if not stamp(name).exists() or stamp(name).read_text() != wanted(name)]
    if stale:
        with step(f"setting up {', '.join(WHAT[name] for name in stale)} in .local/tools (once, about two minutes)"):
            install(stale)


if __name__ == "__main__":
    main(lambda: body(sys.argv[1:] or ("sam", "local")))
