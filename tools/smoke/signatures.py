"""Verifies both signatures as README.md tells receivers to."""

import base64
import hashlib
import hmac

from console import Failed


def _hmac(key, text):
    return hmac.new(key, text, hashlib.sha256)


def _standard(secret, record):
    headers = record["headers"]
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + record["body"]
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return "v1," + base64.b64encode(_hmac(key, signed).digest()).decode()


def verify(record, secret, previous=None):
    """Fails unless both signatures are by `secret`, and a second one of each by `previous` if it is given."""
    headers = record["headers"]
    if headers["x-echo-signature"] != _hmac(secret.encode(), record["body"]).hexdigest():
        raise Failed("x-echo-signature does not verify with the endpoint's secret")
    by_previous = _hmac(previous.encode(), record["body"]).hexdigest() if previous else None
    if headers.get("x-echo-signature-previous") != by_previous:
        raise Failed("x-echo-signature-previous does not verify with the previous secret, or there is one without a rotation")
    wanted = {_standard(each, record) for each in (secret, previous) if each}
    if set(headers["webhook-signature"].split()) != wanted:
        raise Failed(f"webhook-signature does not match the {len(wanted)} valid secrets")
