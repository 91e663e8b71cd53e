"""Fails if ARCHITECTURE.md names a path that does not exist."""

import os
import re

from console import ROOT, Failed, main

MADE_HERE = {".git", ".local", ".aws-sam", "target", "__pycache__"}

# A name in backticks with a folder or a file ending. Routes begin with a slash, so they do not match.
PATH = re.compile(r"`([A-Za-z_][A-Za-z0-9_./-]*(?:/[A-Za-z0-9_./-]*|\.(?:rs|js|py|yaml|json)))`")


def tree():
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in MADE_HERE]
        here = os.path.relpath(folder, ROOT)
        yield from (os.path.normpath(f"{here}/{name}") for name in folders + files)


def missing(text, known):
    """The named paths that do not exist. A path may lack its first folders, as `src/router.rs` does."""
    named = {match.rstrip("/") for match in PATH.findall(text)}
    return sorted(path for path in named if not any(f"/{one}".endswith(f"/{path}") for one in known))


def body():
    found = missing((ROOT / "ARCHITECTURE.md").read_text(), list(tree()))
    if found:
        raise Failed("ARCHITECTURE.md names paths that do not exist: " + ", ".join(found))


if __name__ == "__main__":
    main(body)
