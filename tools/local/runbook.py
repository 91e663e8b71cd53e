"""Says which alarms of template.yaml have no section of their own in docs/runbook.md, and which sections lack a part."""

import re

import template
from console import ROOT, Failed, main

PARTS = ("Means", "Look", "Do", "Over")


def sections(text):
    """The names before a heading's colon -> what stands below it."""
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)[1:]
    return {name: body for heading, body in zip(parts[::2], parts[1::2], strict=True) for name in heading.split(":")[0].split(", ")}


def problems(alarms, text):
    found = sections(text)
    yield from (f"{alarm} has no section" for alarm in sorted(alarms - found.keys()))
    yield from (f"{name} is no alarm" for name in sorted(found.keys() - alarms) if name.endswith("Alarm"))
    for alarm in sorted(alarms & found.keys()):
        yield from (f"{alarm} does not say **{part}**" for part in PARTS if f"**{part}** " not in found[alarm])


def body():
    alarms = set(template.resources("AWS::CloudWatch::Alarm"))
    found = list(problems(alarms, (ROOT / "docs" / "runbook.md").read_text()))
    if found:
        raise Failed("docs/runbook.md: " + "; ".join(found))


if __name__ == "__main__":
    main(body)
