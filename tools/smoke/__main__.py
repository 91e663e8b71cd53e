"""`make smoke STACK=echo-webhooks`: checks a deployed stack from outside, and prints the results in one table.

tools/smoke STACK       checks the stack of that name, with the AWS credentials and the region of the environment
tools/smoke             checks the emulator's stack that $ECHO_STACK describes
"""

import os
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "local"))

import cost
import customer
import freeze
import questions
import replay
import service
import settings
import target
from console import ROOT, Failed, bold, dim, green, main, red, say
from demo import expect
from report import Report
from scratch import Scratch


def sign_up(stack, report):
    with report.check("sign-up with the token of the root secret", needed=True) as note:
        policy, account, token = stack.parameters["SignupPolicy"], customer.Account(stack), customer.signup_token(stack)
        if policy == "closed":
            raise Failed("SignupPolicy is closed, so no account can be made. Deploy with SignupPolicy=token to run these checks")
        if policy == "token":
            expect(401, account.sign_up(None), "signing up without the token")
        expect(201, account.sign_up(token), "signing up with the token")
        note.says(f"SignupPolicy is {policy}")
    return account


def go_through(account, scratch, report):
    """Runs the checks in an order that saves waiting: the scratch queues are tried while the stack is idle."""
    first = account.projects[0]
    endpoint = service.first_try(first, scratch, report)
    service.sealed(first, endpoint, report)
    retry = service.Retry(account.project("smoke retry"), scratch)
    service.gone(account.project("smoke gone"), scratch, report)
    service.rotation(first, endpoint, scratch, report)
    service.by_queue(first, scratch, report)
    service.by_bus(first, scratch, report)
    service.sample(first, endpoint, scratch, report)
    service.latency(first, scratch, report)
    replay.check(account.project("smoke replay"), scratch, report)
    retry.check(report)
    idle = freeze.Freeze(account, first, endpoint, scratch)
    idle.begin(report)
    questions.ask(scratch, report)
    idle.check(report)


def all_of_it(stack, report):
    settings.check(stack, report)
    scratch, account = Scratch(stack), None
    try:
        with report.check("the receiver's stack is created", needed=True):
            scratch.bring_up()
        account = sign_up(stack, report)
        go_through(account, scratch, report)
    finally:
        if account:
            service.erase(account, report)
        with report.check("the receiver's stack is deleted"):
            scratch.take_down()
        say_cost(stack, scratch)


def say_cost(stack, scratch):
    deliveries = sum("headers" in record for record in scratch.records)
    spent = cost.dollars(next(customer.requests), next(customer.events), deliveries)
    where = "" if stack.is_aws else " (if this had run on AWS)"
    say(f"\nThis run cost about {spent * 100:.1f} cents{where}, with {deliveries} deliveries.")


def version():
    said = subprocess.run(["git", "describe", "--always", "--dirty"], check=False, cwd=ROOT, capture_output=True, text=True)
    return said.stdout.strip() or "unknown"


def say_outcome(stack, report, begun, is_through):
    say(f"\nversion {version()}, region {stack.region if stack.is_aws else 'emulator'}, {time.monotonic() - begun:.0f} s\n")
    say(report.table())
    say(
        dim("""
The stack deletes all rows of an erased account within 24 hours. It keeps the log lines and the metrics of this run.""")
    )
    if report.failed or not is_through:
        say(bold(red("\nA check failed." if report.failed else "\nThe run was stopped before the end.")))
    else:
        say(bold(green("\nNo check failed.")))


def body():
    names, begun, report = sys.argv[1:], time.monotonic(), Report()
    if len(names) == 1 and names[0]:
        stack = target.on_aws(names[0])
    elif not names and "ECHO_STACK" in os.environ:
        stack = target.on_emulator(os.environ["ECHO_STACK"])
    else:
        raise Failed("name the stack: make smoke STACK=echo-webhooks")
    is_through = False
    try:
        with report.going_on():
            all_of_it(stack, report)
        is_through = True
    finally:
        say_outcome(stack, report, begun, is_through)
    return report.failed


if __name__ == "__main__":
    main(body)
