"""Builds the functions for this machine and deploys template.yaml to the emulator with `sam deploy`."""

import base64
import hashlib
import json
import os
import platform
import time
import urllib.error
import urllib.request
import zipfile

from botocore.exceptions import ClientError

import template
from console import LOCAL, ROOT, Failed, run, step
from emulator import environment

STACK = "echo-webhooks"
BUCKET = "echo-webhooks-code"
LOCAL_DEFAULTS = {
    "SignupPolicy": "open",
    "ExemptNetworks": "127.0.0.0/8,::1/128",
    "EventBusName": "default",
    # Each concurrent invocation is a process on this machine.
    "FirstAttemptConcurrency": "20",
    "RetryConcurrency": "10",
    "SlowEndpointConcurrency": "10",
    "Architecture": "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64",
}


def parameters(defaults):
    """The template's parameters, overridden by `defaults` and then by the environment (`make run RetryDelaysSeconds=1,2,3`)."""
    known = template.default_parameters() | defaults
    return {name: os.environ.get(name, value) for name, value in known.items()}


def build(folder):
    """Compiles both functions and packs each into a zip for Lambda. Returns the zip of each binary."""
    binaries = sorted(template.functions().values())
    # With the features of the whole workspace, as in the tests and `cargo lambda watch`, so that all of them share compiled code.
    command = ["cargo", "build", "--workspace", *(part for name in binaries for part in ("--bin", name))]
    with step(f"building {' and '.join(binaries)} (the first time takes some minutes)", ticks=False):
        run(command, cwd=ROOT, hint="The messages of the compiler are above.")
        target = os.environ.get("CARGO_TARGET_DIR", ROOT / "target")
        return {name: _pack(ROOT / target / "debug" / name, folder / "build" / name) for name in binaries}


def _pack(binary, folder):
    """Packs a binary. The same binary always gives the same bytes, because `_update_code` compares the zips' hashes."""
    folder.mkdir(parents=True, exist_ok=True)
    bootstrap, archive = folder / "bootstrap", folder / "function.zip"
    run(["strip", "--strip-debug", "-o", bootstrap, binary])
    entry = zipfile.ZipInfo("bootstrap")
    entry.external_attr = 0o755 << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr(entry, bootstrap.read_bytes(), compresslevel=1)
    return archive


def deploy(emulator, parameters, zips):
    """Deploys the template with these parameters and this code, unless the emulator has them already."""
    fingerprint = hashlib.sha256(json.dumps([template.SOURCE.read_text(), parameters], sort_keys=True).encode()).hexdigest()[:32]
    if _deployed_fingerprint(emulator) == fingerprint:
        with step("the template is deployed already; updating changed code"):
            _update_code(emulator, zips)
    else:
        with step("deploying template.yaml with sam"):
            _sam_deploy(emulator, parameters, zips, fingerprint)
    with step("setting up and checking the parts that the emulator leaves out: batched sends, concurrency limits, TTL, routes"):
        _allow_batches(emulator)
        _set_concurrency(emulator, parameters)
        _enable_ttl(emulator)
        _check_routes(emulator)


def _deployed_fingerprint(emulator):
    try:
        stack = emulator.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]
    except ClientError:
        return None
    if stack["StackStatus"] not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        return None
    return {tag["Key"]: tag["Value"] for tag in stack.get("Tags", [])}.get("fingerprint")


def _sam_deploy(emulator, parameters, zips, fingerprint):
    s3 = emulator.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    built = emulator.folder / "build" / "template.yaml"
    built.write_text(template.for_emulator(zips))
    command = [
        *(LOCAL / "tools/sam/bin/sam", "deploy", "--template-file", built, "--stack-name", STACK, "--s3-bucket", BUCKET),
        *("--capabilities", "CAPABILITY_IAM", "--no-confirm-changeset", "--no-fail-on-empty-changeset", "--no-progressbar"),
        *("--tags", f"fingerprint={fingerprint}"),
        "--parameter-overrides",
        *(f'ParameterKey={name},ParameterValue="{value}"' for name, value in parameters.items()),
    ]
    quiet = {"SAM_CLI_TELEMETRY": "0", "SAM_CLI_POLL_DELAY": "0.5"}
    run(
        command,
        log=emulator.folder / "sam-deploy.log",
        env=environment(emulator.port) | quiet,
        hint=f"The emulator's own log: {emulator.log}. `make run FRESH=1` starts with empty state.",
    )


def _update_code(emulator, zips):
    names, aws_lambda = resource_names(emulator), emulator.client("lambda")
    for logical_id, binary in template.functions().items():
        code = zips[binary].read_bytes()
        deployed = aws_lambda.get_function_configuration(FunctionName=names[logical_id])["CodeSha256"]
        if deployed != base64.b64encode(hashlib.sha256(code).digest()).decode():
            aws_lambda.update_function_code(FunctionName=names[logical_id], ZipFile=code)


SQS_BATCHES = {"sqs:SendMessage": "sqs:SendMessageBatch", "sqs:ChangeMessageVisibility": "sqs:ChangeMessageVisibilityBatch"}


def _allow_batches(emulator):
    """Adds the actions that the emulator demands for batches and that IAM does not have. In IAM `sqs:SendMessage` covers
    SendMessageBatch, `sqs:ChangeMessageVisibility` covers its batch, and each statement of BatchExecuteStatement needs the PartiQL
    action of its verb on its table. The emulator does not see the tables in statements, so here a role with a PartiQL grant may run
    any statement. `tests/lanes` checks each statement against the role in the template.
    """
    names, iam = resource_names(emulator), emulator.client("iam")
    for logical_id, spec in template.resources("AWS::IAM::Role").items():
        for policy in (policy["PolicyName"] for policy in spec["Properties"]["Policies"]):
            document = iam.get_role_policy(RoleName=names[logical_id], PolicyName=policy)["PolicyDocument"]
            for statement in document["Statement"]:
                actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
                statement["Action"] = sorted({*actions, *(SQS_BATCHES[action] for action in actions if action in SQS_BATCHES)})
            batches = {"Effect": "Allow", "Action": "dynamodb:BatchExecuteStatement", "Resource": "*"}
            inserts = any("dynamodb:PartiQLInsert" in statement["Action"] for statement in document["Statement"])
            if inserts and batches not in document["Statement"]:
                document["Statement"].append(batches)
            iam.put_role_policy(RoleName=names[logical_id], PolicyName=policy, PolicyDocument=json.dumps(document))


def _set_concurrency(emulator, parameters):
    """Sets each limit as a number. From a template parameter the emulator gets a string, and its poller fails to compare that."""
    names, aws_lambda = resource_names(emulator), emulator.client("lambda")
    for logical_id, spec in template.resources("AWS::Lambda::EventSourceMapping").items():
        limit = spec["Properties"]["ScalingConfig"]["MaximumConcurrency"]
        wanted = {"MaximumConcurrency": int(parameters.get(limit, limit))}
        aws_lambda.update_event_source_mapping(UUID=names[logical_id], ScalingConfig=wanted)


def _enable_ttl(emulator):
    names, dynamodb = resource_names(emulator), emulator.client("dynamodb")
    for logical_id, spec in template.resources("AWS::DynamoDB::Table").items():
        wanted = spec["Properties"].get("TimeToLiveSpecification")
        if not wanted:
            continue
        table = names[logical_id]

        def status(table=table):
            return dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]["TimeToLiveStatus"]

        if status() == "DISABLED":
            dynamodb.update_time_to_live(TableName=table, TimeToLiveSpecification=wanted)
        if status() not in ("ENABLED", "ENABLING"):
            raise Failed(f"TTL of {logical_id} cannot be enabled, so expired rows would stay.")


def _check_routes(emulator):
    """Checks that the api function answers an unknown path, and not the gateway."""
    url, deadline = f"{api_url(emulator)}/v1/no-such-path", time.monotonic() + 30
    while True:
        try:
            answer = urllib.request.urlopen(url, timeout=20).read()
        except urllib.error.HTTPError as error:
            answer = error.read()
        if b'"statusCode"' in answer:
            return
        if time.monotonic() > deadline:
            raise Failed(f"GET {url} does not reach the api function. The answer: {answer[:300]!r}. The emulator's log: {emulator.log}")
        time.sleep(0.5)


def resource_names(emulator):
    """The name or URL of each resource of the stack, by logical id."""
    pages = emulator.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=STACK)
    return {each["LogicalResourceId"]: each["PhysicalResourceId"] for page in pages for each in page["StackResourceSummaries"]}


def api_url(emulator):
    """The API's URL. Some machines cannot resolve the host `<id>.execute-api.localhost` of the output `ApiUrl`."""
    return f"{emulator.url}/_aws/execute-api/{resource_names(emulator)['Api']}"


def outputs(emulator):
    stack = emulator.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
