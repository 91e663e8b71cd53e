"""The checks of the service. Each uses an endpoint whose path decides its answers."""

import json
import time
import uuid
from datetime import datetime

import boto3

import sealing
import signatures
from console import Failed

# The checks do not wait for a first retry that is due later.
LONGEST_WAIT_SECONDS = 180


def millis(timestamp):
    return datetime.fromisoformat(timestamp).timestamp() * 1000


def first_try(project, scratch, report):
    with report.check("an event by HTTPS arrives at the first try, signed both ways", needed=True) as note:
        endpoint = project.endpoint(scratch.endpoint_url("ok"))
        event = project.emit()
        signatures.verify(scratch.arrival(event["event_id"]), endpoint["signing_secret"])
        delivery = project.settled(endpoint, event, 30)
        if [attempt["http_status"] for attempt in delivery["attempts"]] != [200]:
            raise Failed(f"attempts: {[attempt['http_status'] for attempt in delivery['attempts']]}")
        note.says(f"the attempt took {delivery['attempts'][0]['duration_ms']} ms")
    return endpoint


class Retry:
    """A delivery that fails once. The run starts it early, because its retry is due later."""

    def __init__(self, project, scratch):
        self.project, self.endpoint = project, project.endpoint(scratch.endpoint_url("fails-once"))
        self.delay, self.event = int(project.stack.parameters["RetryDelaysSeconds"].split(",")[0]), project.emit()

    def check(self, report):
        with report.check("a failure is tried again when it is due") as note:
            path = self.project.deliveries_path(self.endpoint, self.event)
            failed = self.project.until(path, lambda delivery: delivery["attempts"], 60)
            if self.delay > LONGEST_WAIT_SECONDS:
                note.skips(f"the retry is due at {failed['next_retry_at']}, which is too late to wait for")
                return
            attempts = self.project.settled(self.endpoint, self.event, self.delay * 1.1 + 60)["attempts"]
            if [attempt["http_status"] for attempt in attempts] != [503, 200]:
                raise Failed(f"attempts: {[attempt['http_status'] for attempt in attempts]}")
            first, second = attempts
            waited = (millis(second["created_at"]) - millis(first["created_at"]) - first["duration_ms"]) / 1000
            note.says(f"{waited:.1f} s after the failure, with a delay of {self.delay} s")
            # Never early. By design at most a tenth late, and some seconds more for the queue.
            if not self.delay - 0.1 <= waited <= self.delay * 1.1 + 15:
                raise Failed(note.text)


def gone(project, scratch, report):
    with report.check("410 fails the delivery at once and disables the endpoint"):
        endpoint = project.endpoint(scratch.endpoint_url("gone"))
        delivery = project.settled(endpoint, project.emit(), 60)
        if (delivery["status"], delivery["failure_reason"]) != ("failed", "gone"):
            raise Failed(f"the delivery is {delivery['status']}, {delivery['failure_reason']}")
        path = f"/webhooks/{endpoint['id']}"
        project.until(path, lambda endpoint: endpoint["status"] == "disabled", 30)


def sealed(project, endpoint, report):
    with report.check("the endpoint's secret is sealed in the table, under the key that seals") as note:
        key = {"id": {"S": endpoint["id"]}, "part": {"S": "settings"}}
        table = project.stack.outputs["EndpointsTableName"]
        row = boto3.client("dynamodb").get_item(TableName=table, Key=key, ConsistentRead=True)["Item"]
        used, current = {sealing.key_of(value) for value in sealing.values(row)}, sealing.read(project.stack)[sealing.CURRENT]
        if used != {current} or "whsec_" in str(row):
            raise Failed(f"the row's values are under {used or 'no key'}, and {current} seals")
        note.says(f"the key is {current}")


def rotation(project, endpoint, scratch, report):
    with report.check("after a rotation both secrets verify"):
        secret = project.call(200, "POST", f"/webhooks/{endpoint['id']}/secret/rotate")["signing_secret"]
        arrival = scratch.arrival(project.emit()["event_id"])
        signatures.verify(arrival, secret, previous=endpoint["signing_secret"])


def by_queue(project, scratch, report):
    with report.check("an event through the intake queue arrives"):
        event = {"project_id": project.id, "event_name": project.event_name, "event_id": str(uuid.uuid4()), "data": {"by": "queue"}}
        queue = project.stack.outputs["IntakeQueueUrl"]
        boto3.client("sqs").send_message(QueueUrl=queue, MessageGroupId=project.id, MessageBody=json.dumps(event))
        scratch.arrival(event["event_id"])


def by_bus(project, scratch, report):
    with report.check("an event through EventBridge arrives") as note:
        bus = project.stack.parameters["EventBusName"]
        if not bus:
            note.skips("the parameter EventBusName is not set")
            return
        detail = {"project_id": project.id, "event_id": str(uuid.uuid4()), "data": {"by": "bus"}}
        entry = {"EventBusName": bus, "Source": "smoke", "DetailType": project.event_name, "Detail": json.dumps(detail)}
        answer = boto3.client("events").put_events(Entries=[entry])
        if answer["FailedEntryCount"]:
            raise Failed(f"EventBridge refused it: {answer['Entries']}")
        scratch.arrival(detail["event_id"])


def sample(project, endpoint, scratch, report):
    with report.check("a test event arrives"):
        event = project.call(202, "POST", f"/webhooks/{endpoint['id']}/test", {})
        scratch.arrival(event["event_id"])


def latency(project, scratch, report):
    count = 50 if project.stack.is_aws else 20
    with report.check(f"the time from acceptance to arrival, of {count} events") as note:
        took = []
        for _ in range(count):
            event = project.emit()
            [delivery] = event["deliveries"]
            # The first 48 bits of a UUIDv7 are the millisecond of its creation. AWS's clocks give this time and the arrival's.
            accepted = int(uuid.UUID(delivery["id"])) >> 80
            took.append(scratch.arrival(event["event_id"])["at"] - accepted)
        took.sort()
        note.says(f"p50 {took[count // 2]} ms, p99 {took[int(count * 0.99)]} ms")


def erase(account, report):
    with report.check("the account is erased, and its keys are refused") as note:
        account.erase()
        # A key of an erased project may still work for 5 s (contract §2).
        deadline = time.monotonic() + 10
        while any(project.status_with(project.key) != 401 for project in account.projects):
            if time.monotonic() > deadline:
                raise Failed("a key of an erased project still works after 10 s")
            time.sleep(1)
        note.says(f"{len(account.projects)} projects of {account.email}")
