"""Checks that the stack matches the template and its parameters."""

import json
import urllib.error
import urllib.request

import boto3

import template
from console import Failed

# Requests without credentials, so that they change nothing.
ROUTES = {"/docs": 200, "/openapi.json": 200, "/console": 200, "/v1/projects": 401, "/v1/no-such-path": 401, "/no-such-path": 404}


def check(stack, report):
    with report.check("the stack has the outputs of the template", needed=True) as note:
        missing = template.load()["Outputs"].keys() - {name for name, value in stack.outputs.items() if value}
        if missing:
            raise Failed(f"missing: {', '.join(sorted(missing))}. Is this checkout the version that is deployed?")
        note.says(f"{len(stack.outputs)} outputs")
    with report.check("routes answer", needed=True):
        wrong = [f"{path}: {got} instead of {wanted}" for path, wanted in ROUTES.items() if (got := _status(stack, path)) != wanted]
        if wrong:
            raise Failed("; ".join(wrong))
    with report.check("expiry of old rows (TTL) is on") as note:
        note.says(f"{_ttl(stack)} tables")
    with report.check("point-in-time recovery is as the parameter says") as note:
        note.says(f"{_recovery(stack)} tables, {stack.parameters['PointInTimeRecovery']}")


def _status(stack, path):
    """The status of the api function's answer, or a text if the gateway answered by itself."""
    try:
        with urllib.request.urlopen(f"{stack.api_url}{path}", timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        text = error.read()
        try:
            return json.loads(text)["statusCode"]
        except (ValueError, KeyError, TypeError):
            return f"{error.code} from the gateway itself"
    except OSError as error:
        return str(error)


def _ttl(stack):
    dynamodb, wrong, wanted = boto3.client("dynamodb"), [], stack.tables("TimeToLiveSpecification")
    for table, spec in wanted.items():
        found = dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
        if found["TimeToLiveStatus"] not in ("ENABLED", "ENABLING") or found.get("AttributeName") != spec["AttributeName"]:
            wrong.append(f"{table}: {found['TimeToLiveStatus']} by {found.get('AttributeName')}")
    if wrong:
        raise Failed("; ".join(wrong))
    return len(wanted)


def _recovery(stack):
    dynamodb, wrong, tables = boto3.client("dynamodb"), [], stack.tables("PointInTimeRecoverySpecification")
    wanted = "ENABLED" if stack.parameters["PointInTimeRecovery"] == "true" else "DISABLED"
    for table in tables:
        found = dynamodb.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
        status = found["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"]
        if status != wanted:
            wrong.append(f"{table}: {status} instead of {wanted}")
    if wrong:
        raise Failed("; ".join(wrong))
    return len(tables)
