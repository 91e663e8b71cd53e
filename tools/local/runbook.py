"""Fails if an alarm of template.yaml has no section in docs/runbook.md, or if a section lacks a part."""

import re

import template
from console import ROOT, Failed, main

PARTS = ("Means", "Look", "Do", "Over")


def sections(text):
    """The text of each section, by each name before the colon of its heading."""
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)[1:]
    return {name: body for heading, body in zip(parts[::2], parts[1::2], strict=True) for name in heading.split(":")[0].split(", ")}


def problems(alarms, text):
    found = sections(text)
    yield from (f"{alarm} has no section" for alarm in sorted(alarms - found.keys()))
    yield from (f"{name} is not an alarm" for name in sorted(found.keys() - alarms) if name.endswith("Alarm"))
    for alarm in sorted(alarms & found.keys()):
        yield from (f"{alarm} lacks **{part}**" for part in PARTS if f"**{part}** " not in found[alarm])


def body():
    alarms = set(template.resources("AWS::CloudWatch::Alarm"))
    found = list(problems(alarms, (ROOT / "docs" / "runbook.md").read_text()))
    if found:
        raise Failed("docs/runbook.md: " + "; ".join(found))


if __name__ == "__main__":
    main(body)
