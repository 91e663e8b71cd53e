"""The questions that AWS's documentation leaves open, each tried with queues and a table of the receiver's stack."""

import time
import uuid

import boto3

from console import Failed
from report import Otherwise

HIDE_SECONDS = 5
DELAY_SECONDS = 3


def ask(scratch, report):
    is_aws = scratch.stack.is_aws
    with report.question("PartiQL takes REMOVE of an absent attribute in a batch", is_aws) as note:
        partiql(scratch, note)
    with report.question("a message hidden by ChangeMessageVisibility stays so when batchItemFailures names it", is_aws) as note:
        hiding(scratch, note)
    with report.question("a standard queue takes a message group together with a delay", is_aws) as note:
        group_with_delay(scratch, note)
    with report.question("the count of receives after a move to a dead-letter queue (the service works with any count)", is_aws) as note:
        receive_count(scratch, note)


def partiql(scratch, note):
    """The documentation has the syntax but does not mention absent attributes:
    docs.aws.amazon.com/amazondynamodb/latest/developerguide/ql-reference.update.html"""
    dynamodb, table = boto3.client("dynamodb"), scratch.outputs["RowsName"]
    dynamodb.put_item(TableName=table, Item={"id": {"S": "row"}, "status": {"S": "pending"}})
    # The same statement as in the delivery function's updates: shared/src/store/deliveries/transitions.rs.
    text = f'UPDATE "{table}" SET "status" = ? REMOVE "absent" WHERE "id" = ? AND "status" = ?'
    values = [{"S": "success"}, {"S": "row"}, {"S": "pending"}]
    [answer] = dynamodb.batch_execute_statement(Statements=[{"Statement": text, "Parameters": values}])["Responses"]
    row = dynamodb.get_item(TableName=table, Key={"id": {"S": "row"}}, ConsistentRead=True)["Item"]
    if "Error" in answer or row["status"]["S"] != "success":
        raise Otherwise(f"refused: {answer.get('Error', row)}. Batches of first attempts then fall back to single updates")
    note.says("taken")


def hiding(scratch, note):
    """The documentation says that named messages become visible again. It does not say when, if their timeout was changed:
    docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html"""
    boto3.client("sqs").send_message(QueueUrl=scratch.outputs["HideQueueUrl"], MessageBody="x")
    first = scratch.wait_for(lambda record: record.get("receive") == 1, 120, "the first receive")
    second = scratch.wait_for(lambda record: record.get("receive") == 2, 120, "the second receive")
    waited = (second["at"] - first["at"]) / 1000
    note.says(f"a message hidden for {HIDE_SECONDS} s came again after {waited:.1f} s. The queue's own timeout is 60 s")
    if not HIDE_SECONDS - 0.5 <= waited <= HIDE_SECONDS + 20:
        raise Otherwise(note.text)


def group_with_delay(scratch, note):
    """FIFO queues refuse a delay for a single message. The documentation does not mention groups on standard queues:
    docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html"""
    sqs, queue, sent = boto3.client("sqs"), scratch.outputs["DelayQueueUrl"], time.monotonic()
    sqs.send_message(QueueUrl=queue, MessageBody="x", DelaySeconds=DELAY_SECONDS, MessageGroupId=str(uuid.uuid4()))
    _receive(sqs, queue)
    waited = time.monotonic() - sent
    note.says(f"a message delayed by {DELAY_SECONDS} s came after {waited:.1f} s")
    if waited < DELAY_SECONDS - 0.5:
        raise Otherwise(note.text)


def receive_count(scratch, note):
    """The service does not rely on the count. The answer tells operators how to read the count of a dead letter:
    docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html"""
    sqs, queue, dead = boto3.client("sqs"), scratch.outputs["CountQueueUrl"], scratch.outputs["CountDeadLettersUrl"]
    sqs.send_message(QueueUrl=queue, MessageBody="x")
    for _ in range(2):
        message = _receive(sqs, queue)
        sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        # The third receive moves the message.
        sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1)
        if message := _received(sqs, dead, 1):
            count = message["Attributes"]["ApproximateReceiveCount"]
            return note.says(f"the count is {count} at the first receive there, after 2 receives from the source queue")
    raise Failed("the message did not come to the dead-letter queue within 60 s")


def _receive(sqs, queue):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if message := _received(sqs, queue, 5):
            return message
    raise Failed("a message sent to a scratch queue was not received within 60 s")


def _received(sqs, queue, seconds):
    names = ["ApproximateReceiveCount"]
    got = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=seconds, MessageSystemAttributeNames=names).get("Messages", [])
    return got[0] if got else None
