"""Creates the stack of receiver.yaml, reads the requests that its receiver records, and deletes the stack.

(Rejected: a public request bin, where a third party would see signed deliveries.)
"""

import base64
import json
import secrets
import threading
import time
from pathlib import Path

import boto3
from botocore.exceptions import BotoCoreError, ClientError, WaiterError

from console import Failed, say
from customer import call
from loopback import Loopback

TEMPLATE = Path(__file__).with_name("receiver.yaml")
READERS = 2


class Scratch:
    def __init__(self, stack):
        self.stack, self.name, self.token = stack, f"{stack.name}-smoke-{secrets.token_hex(3)}", secrets.token_hex(16)
        self.records, self._news, self._over = [], threading.Condition(), threading.Event()
        self._readers, self._loopback = [], None

    def bring_up(self):
        cloudformation = boto3.client("cloudformation")
        cloudformation.create_stack(
            StackName=self.name,
            TemplateBody=TEMPLATE.read_text(),
            Capabilities=["CAPABILITY_IAM"],
            Parameters=[{"ParameterKey": "Token", "ParameterValue": self.token}],
            Tags=[{"Key": "made-by", "Value": "make smoke"}],
        )
        self._wait("stack_create_complete")
        described = cloudformation.describe_stacks(StackName=self.name)["Stacks"][0]
        self.outputs = {each["OutputKey"]: each["OutputValue"] for each in described["Outputs"]}
        self.url = self.outputs["ApiUrl"]
        if not self.stack.is_aws:
            # The service never delivers to the address of AWS, and the emulator's gateway has that address too.
            self._loopback = Loopback(f"{self.stack.emulator_url}/_aws/execute-api/{self.outputs['ApiId']}/$default")
            self.url = self._loopback.url
        self._wait_until_it_answers()
        self._readers = [threading.Thread(target=self._read, daemon=True) for _ in range(READERS)]
        for reader in self._readers:
            reader.start()

    def take_down(self):
        self._over.set()
        for reader in self._readers:
            reader.join()
        if self._loopback:
            self._loopback.close()
        try:
            boto3.client("cloudformation").delete_stack(StackName=self.name)
            self._wait("stack_delete_complete")
        except (BotoCoreError, ClientError, Failed) as error:
            raise Failed(f"{error}; to delete the stack: aws cloudformation delete-stack --stack-name {self.name}") from error

    def endpoint_url(self, answer):
        """The URL at which the receiver gives this answer."""
        return f"{self.url}/{self.token}/{answer}"

    def wait_for(self, wanted, seconds, what):
        """Waits for a record for which `wanted` is true, and returns the first one."""
        return self.wait_for_many(wanted, 1, seconds, what)[0]

    def wait_for_many(self, wanted, count, seconds, what):
        deadline = time.monotonic() + seconds
        with self._news:
            while len(found := [record for record in self.records if wanted(record)]) < count:
                if not self._news.wait(deadline - time.monotonic()):
                    raise Failed(f"{what} did not arrive within {seconds:.0f} s ({len(found)} of {count} did)")
        return found

    def arrival(self, event_id, answer="ok", seconds=60):
        """Waits for this event, and returns the record of its first delivery."""

        def is_it(record):
            return record["answer"] == answer and record["headers"]["webhook-id"] == event_id

        return self.wait_for(is_it, seconds, f"event {event_id}")

    def _wait_until_it_answers(self):
        """Waits for the receiver. A newly deployed stage may answer 404 for some seconds."""
        deadline = time.monotonic() + 60
        while (status := call("POST", self.endpoint_url("ready"), {})[0]) != 200:
            if time.monotonic() > deadline:
                raise Failed(f"the receiver answered {status} for a minute")
            time.sleep(1)

    def _wait(self, waiter):
        pace = {"Delay": 5 if self.stack.is_aws else 1, "MaxAttempts": 120}
        try:
            boto3.client("cloudformation").get_waiter(waiter).wait(StackName=self.name, WaiterConfig=pace)
        except WaiterError as error:
            raise Failed(f"the stack {self.name} did not reach {waiter}: {self._troubles() or error}") from error

    def _troubles(self):
        events = boto3.client("cloudformation").describe_stack_events(StackName=self.name)["StackEvents"]
        failed = [event for event in events if event["ResourceStatus"].endswith("_FAILED")]
        return "; ".join(f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', '')}" for event in failed)

    def _read(self):
        sqs, queue = boto3.session.Session().client("sqs"), self.outputs["RecordsUrl"]
        while not self._over.is_set():
            try:
                got = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=2).get("Messages", [])
                if got:
                    handles = [{"Id": str(n), "ReceiptHandle": each["ReceiptHandle"]} for n, each in enumerate(got)]
                    sqs.delete_message_batch(QueueUrl=queue, Entries=handles)
            except (BotoCoreError, ClientError) as error:
                say(f"    reading the records failed, so they are read again: {error}")
                self._over.wait(1)
                continue
            with self._news:
                self.records += map(_record, got)
                self._news.notify_all()


def _record(message):
    record = json.loads(message["Body"])
    if "body" in record:
        record["body"] = base64.b64decode(record["body"])
    return record
