"""Fails if a file cites a section that docs/contract.md does not have."""

import re
import subprocess

from console import ROOT, Failed, main

TEXTS = ("*.rs", "*.md", "*.py", "*.js", "*.html", "*.yaml", "*.json", "*.toml")

HEADING = re.compile(r"^#+ (\d+)\. ", re.MULTILINE)

# Only sections of RFCs are cited with the same sign. "contract §4, §5" cites two sections.
CITATION = re.compile(r"(RFC \d+,? )?§ ?(\d+(?:\.\d+)*)")


def missing(sections, text):
    return sorted({number for rfc, number in CITATION.findall(text) if not rfc} - sections)


def body():
    sections = set(HEADING.findall((ROOT / "docs" / "contract.md").read_text()))
    listed = subprocess.run(["git", "ls-files", "-z", *TEXTS], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    files = [name for name in listed.split("\0") if (ROOT / name).is_file()]
    found = [(name, number) for name in files for number in missing(sections, (ROOT / name).read_text())]
    if found:
        cited = ", ".join(f"{name} cites §{number}" for name, number in found)
        raise Failed(f"docs/contract.md has no such section: {cited}")


if __name__ == "__main__":
    main(body)
