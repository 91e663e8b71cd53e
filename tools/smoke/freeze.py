"""Checks the functions' clocks after the functions were frozen. In the meantime nothing may use the stack."""

import time
from concurrent.futures import ThreadPoolExecutor

from console import Failed, step
from report import Otherwise
from service import millis

ON_AWS_SECONDS, ON_EMULATOR_SECONDS = 180, 6
# Enough requests at once for several environments of the api function to learn the key.
AT_ONCE = 6


class Freeze:
    def __init__(self, account, project, endpoint, scratch):
        self.account, self.project, self.endpoint, self.scratch = account, project, endpoint, scratch
        self.seconds = ON_AWS_SECONDS if project.stack.is_aws else ON_EMULATOR_SECONDS
        self.idle_until = 0

    def begin(self, report):
        """Lets several environments learn a new key, and then revokes the key through one of them."""
        with report.check("a new key works at once"):
            made = self.project.new_key()
            self.key = made["key"]
            before = self._statuses()
            if set(before) != {200}:
                raise Failed(f"requests with the key are answered with {sorted(set(before))}")
            self.account.revoke(self.project, made["id"])
            self.idle_until = time.monotonic() + self.seconds

    def check(self, report):
        if not self.idle_until:
            return
        left = max(0, self.idle_until - time.monotonic())
        with step(f"leaving the stack idle for another {left:.0f} s, until its functions are frozen"):
            time.sleep(left)
        is_aws = self.project.stack.is_aws
        with report.question("after idle minutes the wall clock is right: a key revoked before is refused", is_aws) as note:
            after = self._statuses()
            note.says(f"{AT_ONCE} requests answered {sorted(set(after))}")
            if set(after) != {401}:
                raise Otherwise(note.text)
        with report.question("after idle minutes the monotonic clock is right: an attempt lasts as long as it took", is_aws) as note:
            event = self.project.emit()
            arrival = self.scratch.arrival(event["event_id"])
            attempts = self.project.settled(self.endpoint, event, 60)["attempts"]
            first = attempts[0]
            # The receiver's gateway recorded the time of arrival by another clock.
            reached = arrival["at"] - millis(first["created_at"])
            note.says(
                f"attempts: {len(attempts)}, the first took {first['duration_ms']} ms and reached the receiver after {reached:.0f} ms"
            )
            longest = int(self.project.stack.parameters["RequestTimeoutSeconds"]) * 1000
            if len(attempts) != 1 or first["duration_ms"] > longest or not -1000 <= reached <= first["duration_ms"] + 1000:
                raise Otherwise(note.text)

    def _statuses(self):
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(lambda _: self.project.status_with(self.key), range(AT_ONCE)))
