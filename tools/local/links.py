"""Fails if a link in Markdown names a file or a heading of this repository that does not exist."""

import re
import subprocess

from console import ROOT, Failed, main

FENCE = re.compile(r"^(```+).*?^\1\s*$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]*`")
HEADING = re.compile(r"^#+ (.+?) *$", re.MULTILINE)
# The target of `[text](target)`, whose text may run over a line's end.
LINK = re.compile(r"\]\(([^()\s]+)\)")
ELSEWHERE = re.compile(r"[a-z]+:")


def anchors(text):
    """The anchors of a page's headings, as GitHub makes them. The second one of two equal headings ends in `-1`."""
    found = set()
    for heading in HEADING.findall(FENCE.sub("", text)):
        words = re.sub(r"[^\w\- ]", "", re.sub(r"\]\([^)]*\)", "]", heading).lower()).replace(" ", "-")
        same = sum(1 for anchor in found if re.fullmatch(rf"{re.escape(words)}(-\d+)?", anchor))
        found.add(f"{words}-{same}" if same else words)
    return found


def targets(text):
    links = LINK.findall(CODE.sub("", FENCE.sub("", text)))
    return sorted({link for link in links if not ELSEWHERE.match(link)})


def is_missing(page, target, read):
    path, _, anchor = target.partition("#")
    file = (page.parent / path).resolve() if path else page
    return not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors(read(file)))


def body():
    listed = subprocess.run(["git", "ls-files", "-z", "*.md"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    texts = {page: page.read_text() for page in (ROOT / name for name in listed.split("\0") if name) if page.is_file()}
    wrong = [
        f"{page.relative_to(ROOT)} links {target}"
        for page, text in texts.items()
        for target in targets(text)
        if is_missing(page, target, lambda file: texts.get(file) or file.read_text())
    ]
    if wrong:
        raise Failed("no such file or heading: " + ", ".join(wrong))


if __name__ == "__main__":
    main(body)
