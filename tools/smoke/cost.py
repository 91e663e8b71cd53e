"""The cost of a run, at list prices and without free tiers."""

import json

from console import ROOT

MILLION = 1_000_000
# The receiver's function for each delivery, a high estimate: half a GB for 50 ms on x86_64, and two messages.
RECEIVER_GB_SECONDS, RECEIVER_MESSAGES, X86_OVER_ARM = 0.025, 2, 1.25


def dollars(requests, events, deliveries):
    prices = json.loads((ROOT / "tools/bench/prices.json").read_text())
    measured = json.loads((ROOT / "docs/measured.json").read_text())["cost"]
    unit = {each["name"]: each["units"] for each in measured}
    # `make bench` measured the units of an event with one delivery, and of a request that only reads.
    an_event, a_request = _dollars(unit["https"], prices), _dollars(unit["read_delivery"], prices)
    receiver = prices["api_request"] + prices["lambda_invocation"] + RECEIVER_MESSAGES * prices["sqs_request"]
    receiver += RECEIVER_GB_SECONDS * prices["lambda_gb_second"] * X86_OVER_ARM
    return max(events, deliveries) * an_event + (requests - events) * a_request + deliveries * receiver / MILLION


def _dollars(units, prices):
    names = {
        "api_requests": "api_request",
        "invocations": "lambda_invocation",
        "gb_seconds": "lambda_gb_second",
        "read_units": "read_unit",
        "write_units": "write_unit",
        "sqs_requests": "sqs_request",
    }
    logs = units["log_bytes"] / 1e9 * prices["per_gb"]["log_ingested"] + units["egress_bytes"] / 1e9 * prices["per_gb"]["egress"]
    return sum(units[unit] * prices[price] for unit, price in names.items()) / MILLION + logs
