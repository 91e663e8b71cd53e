"""An endpoint's order, filter and wildcards in its form."""

import json
import re

from conftest import expect

FILTER = '{"data": {"duration_seconds": [{"numeric": [">", 60.0]}]}}'


def edit(page, receiver):
    page.get_by_role("link", name=receiver.url).click()
    page.get_by_role("button", name="Edit").click()
    return page.get_by_role("dialog")


def shown(customer, endpoint):
    return customer.call("GET", f"/webhooks/{endpoint['id']}", status=200)


def test_an_endpoint_gets_wildcards_a_filter_and_an_order(signed_in, customer, receiver):
    page = signed_in()
    page.get_by_role("button", name="Create the first endpoint").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("You can try a filter here once the project has an endpoint.")).to_be_visible()
    dialog.get_by_label("URL").fill(receiver.url)
    dialog.get_by_label("Prefix of events").fill("call")
    dialog.get_by_role("button", name="Create endpoint").click()
    expect(dialog.locator("[data-field=events] + div").get_by_role("alert")).to_contain_text("or a prefix such as call.*")
    dialog.get_by_label("Prefix of events").fill("order.*")
    dialog.get_by_label("Prefix of events").press("Enter")
    expect(dialog.get_by_label("order.*")).to_be_checked()
    expect(dialog.get_by_label("order.*")).to_be_focused()
    dialog.get_by_label("every event, later ones too").check()
    dialog.get_by_label("order.*").uncheck()
    dialog.get_by_label("Prefix of events").fill("call.*")
    dialog.get_by_label("Filter", exact=True).fill(FILTER)
    dialog.get_by_label("Order", exact=True).select_option("One after another for each customer_id")
    dialog.get_by_role("button", name="Create endpoint").click()
    expect(page.get_by_role("heading", name=receiver.url)).to_be_visible()
    [made] = customer.call("GET", "/webhooks", status=200)
    assert (made["events"], made["ordered"], made["filter"]) == (["*", "call.*"], "customer_id", json.loads(FILTER))

    settings = page.get_by_role("region", name="Settings")
    expect(settings).to_contain_text("One after another for each customer_id")
    expect(settings.get_by_label("Filter")).to_contain_text(re.compile(r'"numeric": \[\s+">",\s+60\.0'))
    page.get_by_role("button", name="Edit").click()
    expect(dialog.get_by_label("call.*")).to_be_checked()
    dialog.get_by_label("call.*").uncheck()
    dialog.get_by_label("Filter", exact=True).fill("")
    dialog.get_by_label("Order", exact=True).select_option("No order: deliveries go out side by side")
    dialog.get_by_role("button", name="Save").click()
    expect(settings).to_have_count(0)
    changed = shown(customer, made)
    assert (changed["events"], changed["ordered"], changed["filter"]) == (["*"], None, None)


def test_a_wrong_filter_is_refused_at_its_place(signed_in, customer, receiver):
    endpoint = customer.endpoint(receiver.url)
    page = signed_in()
    dialog = edit(page, receiver)
    text = dialog.get_by_label("Filter", exact=True)
    said = dialog.locator("[data-field=filter] + div").get_by_role("alert")

    text.fill('{"data": ')
    dialog.get_by_role("button", name="Save").click()
    expect(said).to_contain_text("The filter is not JSON")
    text.fill('{ "event_name": ["call.ended"],\n  "data": {"duration_seconds": [7, {"numeric": [">", "x"]}]} }')
    dialog.get_by_role("button", name="Save").click()
    expect(said).to_contain_text("The filter is wrong at $.data.duration_seconds[1].numeric")
    expect(text).to_be_focused()
    assert page.evaluate("(({ value, selectionStart: a, selectionEnd: b }) => value.slice(a, b))(document.activeElement)") == '"x"'
    assert shown(customer, endpoint) == endpoint


def test_a_filter_is_tried_on_recent_events_and_on_one_of_ones_own(signed_in, customer, receiver):
    endpoint = customer.endpoint(receiver.url)
    for seconds in (30, 90):
        customer.emit("call.ended", {"duration_seconds": seconds})
    customer.settled(endpoint, 2)
    page = signed_in()
    dialog = edit(page, receiver)
    dialog.get_by_label("Filter", exact=True).fill(FILTER)
    dialog.get_by_text("Try the filter").click()
    dialog.get_by_role("button", name="Try on the latest 10 events").click()
    verdicts = dialog.locator(".verdicts li")
    expect(verdicts).to_have_text([re.compile("^Passes call.ended"), re.compile("^Filtered out call.ended")])

    dialog.get_by_label("An event of your own").fill('{"event_name": "call.ended", "data": {"duration_seconds": 61}}')
    dialog.get_by_role("button", name="Try on this event").click()
    expect(dialog.locator(".tester [role=status]")).to_have_text("Passes")
    dialog.get_by_label("An event of your own").fill('{"event_name": "call.paused"}')
    dialog.get_by_role("button", name="Try on this event").click()
    expect(dialog.get_by_role("alert")).to_contain_text("In the event, event_name must be")
    dialog.get_by_label("Filter", exact=True).fill('{"data": {"duration_seconds": 60}}')
    dialog.get_by_role("button", name="Try on the latest 10 events").click()
    expect(dialog.get_by_role("alert")).to_contain_text("The filter is wrong at $.data.duration_seconds")
    assert shown(customer, endpoint) == endpoint

    dialog.get_by_label("Filter", exact=True).fill(FILTER)
    dialog.get_by_role("button", name="Save").click()
    event = customer.emit("call.ended", {"duration_seconds": 5})
    page.evaluate("address => (location.hash = address)", f"#/projects/{customer.project_id}/events/{event['event_id']}")
    expect(page.get_by_role("region", name="Skipped endpoints")).to_contain_text("the endpoint's filter did not let it pass")


def test_an_unchanged_filter_is_not_sent_again(signed_in, customer, receiver):
    endpoint = customer.endpoint(receiver.url)
    customer.call("PATCH", f"/webhooks/{endpoint['id']}", {"filter": json.loads(FILTER)}, 200)
    page = signed_in()
    dialog = edit(page, receiver)
    sent = []
    page.on("request", lambda request: sent.append(request.post_data) if request.method == "PATCH" else None)
    dialog.get_by_label("Description").fill("Another")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)
    assert [json.loads(body) for body in sent] == [{"description": "Another"}]
