"""The functions' logs, read from the emulator's CloudWatch. `make logs` follows them."""

import json
import time

import deploy
from console import dim, red, say

SAID_OTHERWISE = ("timestamp", "level", "message", "target", "span", "spans", "name")
PLATFORM = ("START ", "END ", "REPORT ", "INIT_START ")


def lines(emulator, since_ms=0):
    """The lines of both functions, without Lambda's own, oldest first: the time in ms, the function and the text."""
    client, found = emulator.client("logs"), []
    names = deploy.resource_names(emulator)
    for logical_id in ("ApiLogs", "DeliveryLogs"):
        pages = client.get_paginator("filter_log_events").paginate(logGroupName=names[logical_id], startTime=since_ms)
        function = logical_id.removesuffix("Logs").lower()
        events = (event for page in pages for event in page["events"] if not event["message"].startswith(PLATFORM))
        found += [(event["timestamp"], function, event["message"].rstrip()) for event in events]
    return sorted(found)


def save(emulator, file):
    file.write_text("".join(f"{function:<8} {text}\n" for _, function, text in lines(emulator)))


def troubles(emulator, most=8):
    """The last warnings and errors, for an error message."""
    marks = ('"WARN"', '"ERROR"', "panicked")
    bad = [f"  {function}: {text[:600]}" for _, function, text in lines(emulator) if any(mark in text for mark in marks)]
    return "\n".join(["The functions logged:", *bad[-most:]]) if bad else "The functions logged no warning."


def follow(emulator):
    since, shown = int(time.time() * 1000) - 60_000, set()
    while True:
        for line in lines(emulator, since):
            if line not in shown:
                shown.add(line)
                say(_readable(*line))
        time.sleep(1)


def _readable(_when, function, text):
    try:
        entry = json.loads(text)
        level, message = entry["level"], entry["message"]
    except (ValueError, KeyError, TypeError):
        return f"{function:<8} {text}"
    fields = {**entry, **(entry.get("span") or {})}
    rest = " ".join(f"{key}={value}" for key, value in fields.items() if key not in SAID_OTHERWISE)
    mark = level if level in ("INFO", "DEBUG", "TRACE") else red(level)
    return f"{dim(entry.get('timestamp', '')[11:23])} {function:<8} {mark:<5} {message}  {dim(rest)}"
