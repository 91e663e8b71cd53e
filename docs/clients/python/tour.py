"""The life of a webhook by the Python client: pip install target/clients/python"""

import os
import time
import uuid
from typing import TypeVar

import httpx
from echo_webhooks import AuthenticatedClient
from echo_webhooks.api.deliveries import get_delivery
from echo_webhooks.api.events import create_event
from echo_webhooks.api.webhook_endpoints import create_webhook_endpoint, delete_webhook_endpoint
from echo_webhooks.models import AcceptedEvent, DeliveryStatus, DeliveryWithAttempts, Error, EventData, NewEndpoint, NewEvent

T = TypeVar("T")


def raise_if_passing(answer: httpx.Response) -> None:
    """Raises for a status after which the same request may be sent again, whoever answered and in whatever form."""
    if answer.status_code == 429 or answer.status_code >= 500:
        answer.raise_for_status()


PROJECT = uuid.UUID(os.environ["ECHO_PROJECT_ID"])
CLIENT = AuthenticatedClient(
    base_url=os.environ["ECHO_API_URL"],
    token=os.environ["ECHO_API_KEY"],
    auth_header_name="x-api-key",
    prefix="",
    timeout=httpx.Timeout(10),
    raise_on_unexpected_status=True,
    httpx_args={"event_hooks": {"response": [raise_if_passing]}},
)


def done(answer: T | Error | None) -> T:
    """The answer, or an exception with the message of the refusal."""
    if isinstance(answer, Error):
        raise RuntimeError(answer.message)
    if answer is None:
        raise RuntimeError("an answer without content")
    return answer


def post(event: NewEvent) -> AcceptedEvent:
    """Sends an event until the service has it. Sending again is safe: an event with an `event_id` of its own is never taken twice."""
    for pause in (0, 1, 2, 4, 8, 16):
        time.sleep(pause)
        try:
            return done(create_event.sync(PROJECT, client=CLIENT, body=event))
        except httpx.HTTPError:
            pass  # no answer, a 429 or a 5xx
    raise RuntimeError("the event was not accepted")


def ended(webhook: uuid.UUID, delivery: uuid.UUID) -> DeliveryWithAttempts:
    """The delivery with its attempts, once it has ended."""
    while True:
        answer = done(get_delivery.sync(PROJECT, webhook, delivery, client=CLIENT))
        if answer.status in (DeliveryStatus.SUCCESS, DeliveryStatus.FAILED):
            return answer
        time.sleep(0.2)


wanted = NewEndpoint(url="ftp://example.com", events=["call.ended"])
refused = create_webhook_endpoint.sync(PROJECT, client=CLIENT, body=wanted)
if isinstance(refused, Error):
    print(f"refused: {refused.status_code} {refused.message}")

wanted.url = os.environ["RECEIVER_URL"]
endpoint = done(create_webhook_endpoint.sync(PROJECT, client=CLIENT, body=wanted))

event = NewEvent(event_name="call.ended", event_id=uuid.uuid4(), data=EventData.from_dict({"text": "hello"}))
accepted = post(event)
again = post(event)
print(f"accepted: {accepted.event_id} duplicate: {again.duplicate}")

for each in accepted.deliveries:
    if each.webhook_endpoint_id == endpoint.id:
        delivery = ended(endpoint.id, each.id)
        print(f"delivery: {delivery.status}")
        for attempt in delivery.attempts:
            print(f"attempt: {attempt.attempt_number} {attempt.http_status} {attempt.triggered_by}")

# The answer has no content, so a refusal is all that it can hold.
gone = delete_webhook_endpoint.sync(PROJECT, endpoint.id, client=CLIENT)
if gone is not None:
    raise RuntimeError(gone.message)
