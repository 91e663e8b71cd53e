"""The page of event types, and the types in the endpoint form. Most tests play the service's part."""

import json
import re
from urllib.parse import unquote

import pytest

from conftest import expect


class Types:
    """`/v1/event-types` as the contract describes it."""

    def __init__(self, page):
        self.kept, self.sent = {"call.ended": self.shown("call.ended", configured=True)}, []
        page.route(re.compile("/v1/event-types(/.*)?$"), self.answer)

    @staticmethod
    def shown(name, **words):
        nothing = {"configured": False, "description": None, "example": None, "deprecated": False, "updated_at": None}
        return {"name": name} | nothing | words

    def answer(self, route):
        name = unquote(route.request.url.rsplit("/", 1)[1])
        if route.request.method == "GET":
            return route.fulfill(body=json.dumps(list(self.kept.values())).replace('"PRICE"', "1.10"), content_type="application/json")
        if route.request.method == "DELETE":
            del self.kept[name]
            return route.fulfill(status=204)
        self.sent.append((name, route.request.post_data))
        if " " in name:
            return route.fulfill(status=400, json={"statusCode": 400, "message": "name must be a name", "error": "Bad Request"})
        self.kept[name] = self.shown(
            name, configured=name == "call.ended", **json.loads(route.request.post_data), updated_at="2026-01-02T03:04:05.678Z"
        )
        return route.fulfill(json=self.kept[name])


@pytest.fixture
def types(signed_in):
    page = signed_in()
    types = Types(page)
    page.reload()
    page.get_by_role("link", name="Events").click()
    page.get_by_role("link", name="Event types").click()
    expect(page.get_by_role("row", name="call.ended")).to_contain_text("of this deployment")
    return page, types


def test_a_type_is_made_changed_and_removed(types):
    page, service = types
    page.get_by_role("button", name="New event type").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("not a name")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.locator("[data-field=name] + div").get_by_role("alert")).to_contain_text("The name must be")
    dialog.get_by_label("Name").fill("order.paid")
    dialog.get_by_label("Description").fill("An order was paid")
    dialog.get_by_label("Example").fill("{")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.locator("[data-field=example] + div").get_by_role("alert")).to_contain_text("The example is not JSON")
    dialog.get_by_label("Example").fill('{"price": 1.10}')
    dialog.get_by_role("button", name="Save").click()
    row = page.get_by_role("row", name="order.paid")
    expect(row).to_contain_text("An order was paid")
    assert service.sent[-1] == (
        "order.paid",
        '{"description":"An order was paid","example":{"price": 1.10},"deprecated":false}',
    )

    service.kept["order.paid"]["example"] = {"price": "PRICE"}
    page.get_by_role("button", name="Edit order.paid").click()
    dialog.get_by_role("button", name="Cancel").click()
    page.wait_for_timeout(100)
    page.reload()
    row.get_by_text("Example").click()
    expect(row.locator("pre")).to_contain_text('"price": 1.10')
    page.get_by_role("button", name="Edit order.paid").click()
    dialog.get_by_label("Deprecated").check()
    dialog.get_by_role("button", name="Save").click()
    expect(row).to_contain_text("deprecated")
    # An example that was left alone goes back byte for byte.
    assert '"example":{"price": 1.10}' in service.sent[-1][1]
    page.get_by_role("button", name="Remove order.paid").click()
    expect(dialog).to_contain_text("The service accepts no more events of this name.")
    dialog.get_by_role("button", name="Remove").click()
    expect(row).to_have_count(0)
    # The deployment's own name has no words of the account, so nothing can be removed.
    expect(page.get_by_role("button", name="Remove call.ended")).to_have_count(0)


def test_the_types_are_offered_with_their_descriptions(types, receiver, customer):
    page, service = types
    service.kept["order.paid"] = service.shown("order.paid", description="An order was paid", deprecated=True)
    page.reload()
    page.get_by_role("link", name="Endpoints").click()
    page.get_by_role("button", name="Create the first endpoint").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("order.paid An order was paid (deprecated)")).to_be_visible()
    dialog.get_by_label("URL").fill(receiver.url)
    dialog.get_by_label("call.ended").check()
    dialog.get_by_role("button", name="Create endpoint").click()
    page.get_by_role("link", name="Deliveries").first.click()
    expect(page.get_by_label("Event", exact=True)).to_contain_text("order.paid")
    assert customer.call("GET", "/webhooks", status=200)[0]["events"] == ["call.ended"]


def test_a_key_reads_the_types_and_changes_none(open_page, customer):
    page = open_page()
    Types(page)
    page.get_by_role("button", name="API key").click()
    page.get_by_label("API key").fill(customer.api_key)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="Events").click()
    page.get_by_role("link", name="Event types").click()
    expect(page.get_by_role("row", name="call.ended")).to_be_visible()
    expect(page.get_by_role("button", name="New event type")).to_have_count(0)
    expect(page.get_by_role("button", name="Edit")).to_have_count(0)


def test_a_type_of_the_account_reaches_its_endpoint_and_its_test_event(signed_in, customer, receiver):
    page = signed_in()
    page.get_by_role("link", name="Events").click()
    page.get_by_role("link", name="Event types").click()
    page.get_by_role("button", name="New event type").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("order.paid")
    dialog.get_by_label("Description").fill("An order was paid")
    dialog.get_by_label("Example").fill('{"price": 1.10}')
    dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_role("row", name="order.paid")).to_contain_text("An order was paid")
    # Every way in knows the name after at most 10 seconds.
    page.wait_for_timeout(10_000)
    page.get_by_role("link", name="Endpoints").click()
    page.get_by_role("button", name="Create the first endpoint").click()
    dialog.get_by_label("URL").fill(receiver.url)
    dialog.get_by_label("order.paid An order was paid").check()
    dialog.get_by_role("button", name="Create endpoint").click()
    expect(page.get_by_role("heading", name=receiver.url)).to_be_visible()
    page.get_by_role("button", name="Send test").click()
    expect(dialog.get_by_label("Event")).to_have_value("order.paid")
    dialog.get_by_role("button", name="Send").click()
    [endpoint] = customer.call("GET", "/webhooks", status=200)
    customer.settled(endpoint, 1)
    assert endpoint["events"] == ["order.paid"]
    assert b"1.10" in receiver.requests[0][1]
