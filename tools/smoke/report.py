"""The results: one row for each check, whether or not it failed, and a table of all rows."""

import contextlib
import re
import time

from console import Failed, dim, say, step

PASSED, FAILED, SKIPPED = "passed", "FAILED", "skipped"
# Text that must not be published with the table: keys, secrets, tokens, and the number of an AWS account.
HIDDEN = re.compile(r"echo_[0-9a-f]{64}|whsec_[0-9a-f]{64}|eyJ[\w-]+\.[\w-]+\.[\w-]+|\b[0-9]{12}\b")


class Abandoned(Exception):
    """A needed check failed, so the checks after it cannot run."""


class Otherwise(Failed):
    """The platform does not behave as the service expects."""


class Note:
    """A check's remark beside its result."""

    def __init__(self):
        self.text, self.skipped = "", False

    def says(self, text):
        self.text = text

    def skips(self, reason):
        self.text, self.skipped = reason, True


class Report:
    def __init__(self):
        self.rows = []

    @property
    def failed(self):
        return any(result == FAILED for _, result, _, _ in self.rows)

    @contextlib.contextmanager
    def check(self, name, needed=False):
        """Records the result of the block. With `needed`, a failure ends the run."""
        note, begun = Note(), time.monotonic()
        try:
            with step(name):
                yield note
            self._add(name, SKIPPED if note.skipped else PASSED, note.text, begun)
        except Exception as error:
            self._add(name, FAILED, _text(error), begun)
            if needed:
                raise Abandoned from error

    @contextlib.contextmanager
    def going_on(self):
        """Surrounds all checks. A failure between two checks gets a row too."""
        begun = time.monotonic()
        try:
            yield
        except Abandoned:
            return
        except Exception as error:
            self._add("going on to the next check", FAILED, _text(error), begun)

    @contextlib.contextmanager
    def question(self, name, is_aws):
        """A check of the platform, not of the service. The table shows an emulator's answer as skipped."""
        with self.check(name) as note:
            try:
                yield note
            except Otherwise as answer:
                if is_aws:
                    raise
                note.says(str(answer))
            if not is_aws:
                note.skips(f"only AWS can answer this. The emulator: {note.text}")

    def _add(self, name, result, text, begun):
        text = " ".join(HIDDEN.sub("…", text).split())
        self.rows.append((name, result, time.monotonic() - begun, text))
        if text:
            say(dim(f"    {text}"))

    def table(self):
        """The table in Markdown, so that it can be pasted into an issue."""
        rows = [("check", "result", "seconds", ""), *((name, result, f"{took:.1f}", text) for name, result, took, text in self.rows)]
        widths = [max(len(row[n]) for row in rows) for n in range(3)]

        def line(row):
            cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
            return "| " + " | ".join([*cells, row[3].replace("|", "/")]) + " |"

        rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|---|"
        return "\n".join([line(rows[0]), rule, *map(line, rows[1:])])


def _text(error):
    return str(error) if isinstance(error, Failed) else f"{type(error).__name__}: {error}"
