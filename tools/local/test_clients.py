"""What clients.py changes in the description before the Rust client is made of it, and how it ends the commands that it runs."""

import contextlib
import os
import signal
import tempfile
import threading
import time
import unittest
from pathlib import Path

import clients
from console import Failed, Job, Stop, on_signals_stop, run_together


def described(name, required=()):
    """A description with one schema of three fields that may be null."""
    number = {"type": ["integer", "null"], "minimum": 1}
    time = {"oneOf": [{"$ref": "#/components/schemas/Time"}, {"type": "null"}], "description": "When."}
    either = {"oneOf": [{"type": "string"}, {"type": "integer"}]}
    properties = {"number": number, "time": time, "either": either}
    schema = {"type": "object", "required": list(required), "properties": properties}
    return {"webhooks": {"event": {}}, "components": {"schemas": {name: schema, "Text": {"type": "string"}}}}


def fields(description, name):
    return description["components"]["schemas"][name]["properties"]


class ForRust(unittest.TestCase):
    def test_a_field_that_may_be_left_out_has_no_null(self):
        made = fields(clients.for_rust(described("NewEvent")), "NewEvent")
        self.assertEqual({"type": "integer", "minimum": 1}, made["number"])
        self.assertEqual({"$ref": "#/components/schemas/Time", "description": "When."}, made["time"])
        self.assertEqual({"oneOf": [{"type": "string"}, {"type": "integer"}]}, made["either"])

    def test_a_required_field_keeps_its_null(self):
        before = described("Delivery", required=["number", "time"])
        self.assertEqual(fields(before, "Delivery"), fields(clients.for_rust(before), "Delivery"))

    def test_a_change_of_an_endpoint_keeps_null_because_it_takes_away(self):
        before = described("EndpointChange")
        self.assertEqual(fields(before, "EndpointChange"), fields(clients.for_rust(before), "EndpointChange"))

    def test_requests_to_receivers_are_no_calls(self):
        before = described("NewEvent")
        self.assertNotIn("webhooks", clients.for_rust(before))
        self.assertIn("webhooks", before)


def is_running(pid):
    with contextlib.suppress(FileNotFoundError):
        # The state of a process that has ended but is not waited for is Z.
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    return False


class Together(unittest.TestCase):
    """A command with a child of its own, as cargo and Java have, runs beside another command."""

    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.long = Job(["sh", "-c", "sleep 60 & echo $!; wait"], self.folder / "long.log")

    def child(self):
        """The pid of the long command's child, once it runs."""
        deadline = time.monotonic() + 10
        while not (self.long.log.exists() and self.long.log.read_text().endswith("\n")):
            self.assertLess(time.monotonic(), deadline, "the command has not started")
            time.sleep(0.02)
        return int(self.long.log.read_text())

    def assert_child_ends(self, pid):
        deadline = time.monotonic() + 5
        while is_running(pid):
            self.assertLess(time.monotonic(), deadline, "the child still runs")
            time.sleep(0.02)

    def test_a_failure_shows_its_output_and_ends_the_others(self):
        waiting = f"until [ -s {self.long.log} ]; do sleep 0.02; done; echo broken; exit 3"
        failing = Job(["sh", "-c", waiting], self.folder / "failing.log", hint="try this")
        with self.assertRaisesRegex(Failed, "(?s)ended with 3.*broken.*try this"):
            run_together([failing, self.long])
        self.assert_child_ends(self.child())

    def test_a_signal_ends_all_at_once(self):
        kept = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        pids = []

        def interrupt():
            pids.append(self.child())
            os.kill(os.getpid(), signal.SIGTERM)

        on_signals_stop()
        interrupting = threading.Thread(target=interrupt)
        interrupting.start()
        try:
            with self.assertRaises(Stop):
                run_together([Job(["sleep", "60"], self.folder / "other.log"), self.long])
        finally:
            interrupting.join()
            for each, handler in kept.items():
                signal.signal(each, handler)
        self.assert_child_ends(pids[0])


if __name__ == "__main__":
    unittest.main()
