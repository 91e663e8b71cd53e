"""Tests that `make smoke` fails when it should. Each test breaks one thing and expects the failure."""

import base64
import contextlib
import hashlib
import hmac
import io
import runpy
import sys
import unittest
from pathlib import Path
from unittest import mock

import boto3
from botocore.stub import Stubber

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "local"), str(HERE.parent)]

import customer
import sealing
import settings
import signatures
import target
from console import Failed
from report import FAILED, PASSED, SKIPPED, Otherwise, Report

STACK = target.Stack("echo", "us-east-1", {"EventsTableName": "events"}, {"PointInTimeRecovery": "true"}, "", None)
EXPIRES = {"EventsTable": {"Properties": {"TimeToLiveSpecification": {"AttributeName": "expires_at", "Enabled": True}}}}


def outcome(work):
    """The results in a report after this work, and the printed text."""
    report, printed = Report(), io.StringIO()
    with contextlib.redirect_stdout(printed), report.going_on():
        work(report)
    with contextlib.redirect_stdout(printed):
        print(report.table())
    return [result for _, result, _, _ in report.rows], printed.getvalue()


class ASealingKey(unittest.TestCase):
    def retired(self, key, counts):
        """The secret after an attempt to retire a key, and the refusal if there was one."""
        kept = {"current": "k2", "k1": "one", "k2": "two"}
        with (
            mock.patch.object(sealing, "read", lambda _: dict(kept)),
            mock.patch.object(sealing, "count", lambda _: counts),
            mock.patch.object(sealing, "write", lambda _, keys: (kept.clear(), kept.update(keys))),
            mock.patch.object(sealing, "say", lambda _: None),
        ):
            try:
                sealing.retire(STACK, key)
            except Failed as failure:
                return kept, str(failure)
        return kept, None

    def test_retires_when_nothing_is_sealed_under_it(self):
        self.assertEqual(self.retired("k1", {"k1": 0, "k2": 9}), ({"current": "k2", "k2": "two"}, None))
        for key, counts, why in (("k1", {"k1": 1}, "1 values"), ("k2", {"k1": 0, "k2": 0}, "the key that seals"), ("k3", {}, "no key k3")):
            kept, refusal = self.retired(key, counts)
            self.assertEqual(kept, {"current": "k2", "k1": "one", "k2": "two"})
            self.assertIn(why, refusal)

    def test_is_named_by_each_value_of_a_row(self):
        value = {"B": b"\x01\x02k1" + bytes(28)}
        row = {"signing_secret": value, "previous_secret": value, "headers": {"M": {"x-a": {"B": b"\x01\x03k22" + bytes(30)}}}}
        row["auth"] = {"M": {"type": {"S": "oauth2"}, "client_secret": value}}
        self.assertEqual([sealing.key_of(one) for one in sealing.values(row)], ["k1", "k1", "k22", "k1"])
        self.assertEqual(len(sealing.values({"signing_secret": value})), 1)


class AnAccount(unittest.TestCase):
    def erased(self, *statuses):
        """The refusal at the end of an account whose erasure gets these answers, and how often it was asked for."""
        account, answers = customer.Account(STACK), [(status, "answer") for status in statuses]
        with (
            mock.patch.object(customer, "call", side_effect=answers) as asked,
            mock.patch.object(customer.time, "sleep"),
            mock.patch.object(account, "_owner", return_value={}),
        ):
            try:
                account.erase()
            except Failed as failure:
                return str(failure), asked.call_count
        return None, asked.call_count

    def test_is_erased_by_one_request_or_by_a_repeat(self):
        self.assertEqual([self.erased(202), self.erased(503, 202), self.erased(0, 401)], [(None, 1), (None, 2), (None, 2)])

    def test_is_not_erased_when_the_request_is_refused_or_never_answered(self):
        for statuses, asked in (([400], 1), ([401], 1), ([503] * 5, 5)):
            refusal, count = self.erased(*statuses)
            self.assertIn(f"expected 202, got {statuses[-1]}", refusal)
            self.assertEqual(count, asked)


class AReport(unittest.TestCase):
    def test_tells_a_check_that_failed_from_one_that_held(self):
        def work(report):
            with report.check("good"):
                pass
            with report.check("bad"):
                raise Failed("it broke")
            with report.check("surprising"):
                raise KeyError("deliveries")

        results, printed = outcome(work)
        self.assertEqual(results, [PASSED, FAILED, FAILED])
        self.assertIn("it broke", printed)

    def test_ends_after_a_needed_check_failed(self):
        def work(report):
            with report.check("sign-up", needed=True):
                raise Failed("refused")
            self.fail("went on")

        self.assertEqual(outcome(work)[0], [FAILED])

    def test_counts_what_fails_between_checks(self):
        def work(_report):
            raise Failed("no project could be made")

        self.assertEqual(outcome(work)[0], [FAILED])

    def test_believes_only_aws_when_it_asks_about_aws(self):
        def answered(is_aws):
            def work(report):
                with report.question("REMOVE", is_aws) as note:
                    note.says("refused")
                    raise Otherwise("refused")

            return outcome(work)[0]

        self.assertEqual((answered(True), answered(False)), ([FAILED], [SKIPPED]))

    def test_counts_a_question_that_could_not_be_asked_everywhere(self):
        def work(report):
            with report.question("REMOVE", False):
                raise ValueError("no such table")

        self.assertEqual(outcome(work)[0], [FAILED])

    def test_shows_no_secret_and_no_account(self):
        key, account = "echo_" + "5" * 64, "123456789012"

        def work(report):
            with report.check("sign-up"):
                raise Failed(f"got 201: {key} by arn:aws:iam::{account}:user/ada")

        printed = outcome(work)[1]
        self.assertIn("got 201", printed)
        self.assertFalse(key in printed or account in printed, printed)


class TheProgram(unittest.TestCase):
    def code(self, work):
        """The exit code of a run on AWS with these checks."""
        program = runpy.run_path(str(HERE / "__main__.py"), run_name="smoke")
        scope = program["body"].__globals__
        checks = {"all_of_it": lambda _stack, report: work(report)}
        with (
            mock.patch.dict(scope, checks),
            mock.patch.object(target, "on_aws", return_value=STACK),
            mock.patch.object(sys, "argv", ["smoke", "echo"]),
            mock.patch("console.on_signals_stop"),
            contextlib.redirect_stdout(io.StringIO()),
            self.assertRaises(SystemExit) as ended,
        ):
            program["main"](program["body"])
        return ended.exception.code

    def test_ends_with_0_when_all_held_and_with_1_when_one_check_did_not(self):
        def good(report):
            with report.check("good"):
                pass

        def bad(report):
            good(report)
            with report.check("bad"):
                raise Failed("it broke")
            good(report)

        self.assertEqual((self.code(good), self.code(bad)), (0, 1))


class Settings(unittest.TestCase):
    def ttl(self, description):
        dynamodb = boto3.client("dynamodb", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
        expires, client = mock.patch("template.resources", return_value=EXPIRES), mock.patch("boto3.client", return_value=dynamodb)
        with Stubber(dynamodb) as stub, expires, client:
            stub.add_response("describe_time_to_live", {"TimeToLiveDescription": description}, {"TableName": "events"})
            return settings._ttl(STACK)

    def test_ttl_that_is_on(self):
        self.assertEqual(self.ttl({"TimeToLiveStatus": "ENABLED", "AttributeName": "expires_at"}), 1)

    def test_ttl_that_is_off_or_by_another_attribute(self):
        for description in ({"TimeToLiveStatus": "DISABLED"}, {"TimeToLiveStatus": "ENABLED", "AttributeName": "ttl"}):
            with self.assertRaises(Failed):
                self.ttl(description)


class Signatures(unittest.TestCase):
    # The example that the Standard Webhooks libraries publish.
    SECRET, ID, TIMESTAMP = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330"
    BODY, STANDARD = b'{"test": 2432232314}', "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

    def record(self, body=BODY, standard=STANDARD):
        echo = hmac.new(self.SECRET.encode(), self.BODY, hashlib.sha256).hexdigest()
        headers = {"x-echo-signature": echo, "webhook-id": self.ID, "webhook-timestamp": self.TIMESTAMP, "webhook-signature": standard}
        return {"headers": headers, "body": body}

    def test_genuine_ones_verify(self):
        signatures.verify(self.record(), self.SECRET)

    def test_a_changed_body_does_not(self):
        with self.assertRaises(Failed):
            signatures.verify(self.record(body=b'{"test": 2432232315}'), self.SECRET)

    def test_a_rotation_needs_both_signatures_by_the_secret_before(self):
        previous = "whsec_" + base64.b64encode(b"another").decode()
        record = self.record()
        signed = f"{self.ID}.{self.TIMESTAMP}.".encode() + self.BODY
        second = base64.b64encode(hmac.new(b"another", signed, hashlib.sha256).digest()).decode()
        record["headers"]["webhook-signature"] += f" v1,{second}"
        with self.assertRaises(Failed):
            signatures.verify(record, self.SECRET, previous)
        record["headers"]["x-echo-signature-previous"] = hmac.new(previous.encode(), self.BODY, hashlib.sha256).hexdigest()
        signatures.verify(record, self.SECRET, previous)

    def test_neither_does_a_rotation_that_lacks_the_secret_before(self):
        with self.assertRaises(Failed):
            signatures.verify(self.record(), self.SECRET, previous="whsec_" + base64.b64encode(b"another").decode())


if __name__ == "__main__":
    unittest.main()
