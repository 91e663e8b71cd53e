"""The deployed stack to check: a stack on AWS, by its name, or the emulator's stack that $ECHO_STACK describes."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import boto3
from botocore.exceptions import BotoCoreError, ClientError

import template
from console import Failed


@dataclass
class Stack:
    name: str
    region: str
    outputs: dict
    parameters: dict
    api_url: str
    # Where the emulator answers; None on AWS.
    emulator_url: str | None

    @property
    def is_aws(self):
        return self.emulator_url is None

    def tables(self, specification):
        """The specification of each table that has one in the template, by the table's name."""
        tables = template.resources("AWS::DynamoDB::Table").items()
        return {
            self.outputs[f"{name}Name"]: spec["Properties"][specification] for name, spec in tables if specification in spec["Properties"]
        }


def on_aws(name):
    if "AWS_ENDPOINT_URL" in os.environ:
        raise Failed("AWS_ENDPOINT_URL is set, so the checks would not reach AWS.")
    return _described(name, None)


def on_emulator(file):
    known = json.loads(Path(file).read_text())
    aws = known["aws"]
    for variable in [variable for variable in os.environ if variable.startswith("AWS_")]:
        del os.environ[variable]
    os.environ |= {
        "AWS_ENDPOINT_URL": aws["endpoint_url"],
        "AWS_DEFAULT_REGION": aws["region"],
        "AWS_ACCESS_KEY_ID": aws["access_key_id"],
        "AWS_SECRET_ACCESS_KEY": aws["secret_access_key"],
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    stack = _described(aws["stack_name"], aws["endpoint_url"])
    # Some machines cannot resolve the output's host, `<id>.execute-api.localhost`.
    stack.api_url = known["api_url"]
    _make_like_aws(stack)
    return stack


def _described(name, emulator_url):
    try:
        cloudformation = boto3.client("cloudformation")
        found = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    except (BotoCoreError, ClientError) as error:
        raise Failed(f"the stack {name} cannot be read: {error}") from error
    outputs = {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", [])}
    parameters = {each["ParameterKey"]: each["ParameterValue"] for each in found["Parameters"]}
    return Stack(name, cloudformation.meta.region_name, outputs, parameters, outputs.get("ApiUrl", ""), emulator_url)


def _make_like_aws(stack):
    """Sets the parts of the template that the emulator leaves out. Local stacks have an open sign-up, so also sets the default policy."""
    dynamodb, aws_lambda = boto3.client("dynamodb"), boto3.client("lambda")
    wanted = {"PointInTimeRecoveryEnabled": stack.parameters["PointInTimeRecovery"] == "true"}
    for table in stack.tables("PointInTimeRecoverySpecification"):
        dynamodb.update_continuous_backups(TableName=table, PointInTimeRecoverySpecification=wanted)
    function = stack.outputs["ApiFunctionName"]
    variables = aws_lambda.get_function_configuration(FunctionName=function)["Environment"]["Variables"]
    variables = {"Variables": variables | {"SIGNUP_POLICY": "token"}}
    aws_lambda.update_function_configuration(FunctionName=function, Environment=variables)
    stack.parameters["SignupPolicy"] = "token"
