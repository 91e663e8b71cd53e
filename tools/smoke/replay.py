"""A replay with more steps than Lambda allows in a chain of invocations that it takes for a loop."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from console import Failed

# A step starts 100 deliveries, and Lambda's detection ends a chain after about 16 invocations:
# docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html
ON_AWS, ON_EMULATOR = 1_750, 30
POSTING_AT_ONCE = 8


def check(project, scratch, report):
    is_aws = project.stack.is_aws
    count = ON_AWS if is_aws else ON_EMULATOR
    is_through = False
    with report.check(f"a replay of {count} events that a disabled endpoint missed") as note:
        endpoint = project.endpoint(scratch.endpoint_url("replayed"))
        path = f"/webhooks/{endpoint['id']}"
        project.call(200, "PATCH", path, {"status": "disabled"})
        since = (datetime.now(UTC) - timedelta(minutes=10)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        with ThreadPoolExecutor(POSTING_AT_ONCE) as pool:
            missed = {event["event_id"] for event in pool.map(lambda n: project.emit({"n": n}), range(count))}
        project.call(200, "PATCH", path, {"status": "active"})
        begun = time.monotonic()
        replay = project.call(202, "POST", f"{path}/replay", {"since": since, "include_skipped": True})
        ended = project.until(f"{path}/replays/{replay['id']}", lambda replay: replay["status"] != "running", 300)
        if (ended["status"], ended["replayed"]) != ("finished", count):
            raise Failed(f"the replay is {ended['status']}, with {ended['replayed']} of {count} deliveries replayed")

        def is_missed(record):
            return record["answer"] == "replayed" and record["headers"]["webhook-id"] in missed

        scratch.wait_for_many(is_missed, count, 120, "the missed events")
        note.says(f"in {time.monotonic() - begun:.0f} s")
        is_through = True
    with report.check("a chain of more than 16 invocations is not cut off as a loop") as note:
        if not is_aws:
            note.skips("only AWS can answer this, and the replay above is short here")
        elif is_through:
            note.says(f"{count // 100 + 1} steps, each started by the one before")
        else:
            note.skips("the replay above failed")
