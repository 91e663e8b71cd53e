"""The keys that seal signing secrets, private keys, header values and the secrets of `auth` in the tables (docs/operations.md,
"The sealing keys").

sealing.py status STACK       the keys, and how many values are sealed under each
sealing.py add STACK          add a key, which seals from now on, and begin the sweep that seals all older values anew
sealing.py sweep STACK        begin the sweep again
sealing.py retire STACK KEY   remove a key under which nothing is sealed

STACK is a stack's name. AWS credentials and the region come from the environment.
"""

import collections
import datetime
import json
import sys
from pathlib import Path

sys.path.insert(1, str(Path(__file__).resolve().parent / "local"))
sys.path.insert(1, str(Path(__file__).resolve().parent / "smoke"))

import boto3

import target
from console import Failed, main, say

CURRENT = "current"


def read(stack):
    """The secret's members: the id of the key that seals as `current`, and the keys by id."""
    answer = boto3.client("secretsmanager").get_secret_value(SecretId=stack.outputs["SealingKeysArn"])
    return json.loads(answer["SecretString"])


def write(stack, keys):
    boto3.client("secretsmanager").put_secret_value(SecretId=stack.outputs["SealingKeysArn"], SecretString=json.dumps(keys))


def key_of(sealed):
    """The id of the key of a sealed value: a byte for the form, one for the id's length, and the id."""
    return bytes(sealed)[2 : 2 + sealed[1]].decode()


def values(item):
    """The sealed values in a row of settings."""
    secrets = [item[name]["B"] for name in ("signing_secret", "previous_secret", "previous_ed25519") if name in item]
    secrets += [item["ed25519"]["M"]["private_key"]["B"]] if "ed25519" in item else []
    maps = [item.get(name, {"M": {}})["M"] for name in ("headers", "auth")]
    return secrets + [value["B"] for one in maps for value in one.values() if "B" in value]


def count(stack):
    """How many values are sealed under each key. Reads the whole table of endpoints."""
    counts = collections.Counter()
    pages = (
        boto3.client("dynamodb")
        .get_paginator("scan")
        .paginate(
            TableName=stack.outputs["EndpointsTableName"],
            ConsistentRead=True,
            FilterExpression="part = :settings",
            ExpressionAttributeValues={":settings": {"S": "settings"}},
            ProjectionExpression="signing_secret, previous_secret, ed25519, previous_ed25519, headers, #auth",
            # DynamoDB reserves this word.
            ExpressionAttributeNames={"#auth": "auth"},
        )
    )
    for page in pages:
        for item in page["Items"]:
            counts.update(key_of(sealed) for sealed in values(item))
    return counts


def status(stack):
    keys, counts = read(stack), count(stack)
    current = keys.pop(CURRENT)
    for key in sorted(keys.keys() | counts.keys()):
        notes = [f"{counts[key]} values"]
        if key == current:
            notes.append("seals")
        elif key not in keys:
            notes.append("NOT IN THE SECRET: these values do not open")
        elif not counts[key]:
            notes.append("may retire, unless a backup is to be restored that needs it")
        say(f"  {key:<20} {', '.join(notes)}")


def add(stack):
    keys = read(stack)
    key = datetime.datetime.now(datetime.UTC).strftime("k%Y%m%d-%H%M%S")
    if key in keys:
        raise Failed(f"the secret has a key {key} already")
    made = boto3.client("secretsmanager").get_random_password(PasswordLength=64, ExcludePunctuation=True)["RandomPassword"]
    write(stack, {**keys, key: made, CURRENT: key})
    say(f"{key} seals from now on, in every function within a minute.")
    sweep(stack)
    return key


def sweep(stack):
    """Sends the sweep's first step. The delivery function waits for five minutes before it seals anything anew."""
    key = read(stack)[CURRENT]
    body = json.dumps({"v": 5, "key": key})
    boto3.client("sqs").send_message(QueueUrl=stack.outputs["RetriesQueueUrl"], MessageBody=body, MessageGroupId="sweep")
    say(f"The sweep under {key} begins in five minutes. The delivery function logs `the sweep is done`, and `status` shows how far it is.")


def retire(stack, key):
    keys = read(stack)
    if key == keys[CURRENT]:
        raise Failed(f"{key} is the key that seals. First add another one")
    if key not in keys:
        raise Failed(f"the secret has no key {key}, but {', '.join(sorted(keys.keys() - {CURRENT}))}")
    if sealed := count(stack)[key]:
        raise Failed(f"{sealed} values are sealed under {key}, and would never open again. Wait for the sweep, or begin it again")
    del keys[key]
    write(stack, keys)
    say(f"{key} is removed.")


COMMANDS = {"status": status, "add": add, "sweep": sweep}


def body():
    match sys.argv[1:]:
        case [command, name] if command in COMMANDS:
            COMMANDS[command](target.on_aws(name))
        case ["retire", name, key]:
            retire(target.on_aws(name), key)
        case _:
            say(__doc__)
            return 2
    return 0


if __name__ == "__main__":
    main(body)
