"""A whole project: its deliveries, the causes of failures, the search by id, and its portal links."""

import re
import uuid

from conftest import expect


def go(page, customer, place):
    page.evaluate("address => (location.hash = address)", f"#/projects/{customer.project_id}/{place}")


def test_a_project_lists_the_deliveries_of_all_its_endpoints(signed_in, customer, receiver):
    receiver.answer = lambda body: (410, b"") if b"call.summary" in body else (200, b"")
    good = customer.endpoint(f"{receiver.url}/good", ["call.started"])
    bad = customer.endpoint(f"{receiver.url}/bad", ["call.summary"])
    customer.emit("call.started"), customer.emit("call.summary")
    customer.settled(good, 1), customer.settled(bad, 1)
    page = signed_in()
    page.get_by_role("link", name="Deliveries").click()
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.filter(has_text="/good")).to_contain_text("Delivered")
    expect(rows.filter(has_text="/bad")).to_contain_text("the receiver answered 410 Gone")
    page.get_by_label("Status", exact=True).select_option("Failed")
    expect(rows).to_have_count(1)
    assert page.url.endswith("?status=failed")
    page.get_by_role("link", name="call.summary").click()
    expect(page.get_by_role("region", name="About this delivery")).to_contain_text("/bad")
    page.go_back()
    expect(rows).to_have_count(1)


def test_failures_are_grouped_by_cause_and_endpoint(signed_in, customer, receiver):
    answers = {b"call.started": (500, b""), b"call.ended": (404, b""), b"call.summary": (200, b"")}
    receiver.answer = lambda body: next(answer for name, answer in answers.items() if name in body)
    endpoints = [customer.endpoint(f"{receiver.url}/{place}", ["*"]) for place in ("one", "two")]
    for name in ("call.started", "call.started", "call.ended", "call.summary"):
        customer.emit(name)
    for endpoint in endpoints:
        customer.settled(endpoint, 4)
    page = signed_in()
    page.get_by_role("link", name="Deliveries").click()
    page.get_by_role("link", name="Failures by cause").click()
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(4)
    for place in ("/one", "/two"):
        expect(rows.filter(has_text=place).filter(has_text="HTTP 500").locator("td[data-label=Failed]")).to_have_text("2")
        expect(rows.filter(has_text=place).filter(has_text="HTTP 404").locator("td[data-label=Failed]")).to_have_text("1")
    expect(page.get_by_text("Looked at all 6 failed deliveries and no retrying delivery.")).to_be_visible()
    page.get_by_label("Event", exact=True).select_option("call.ended")
    expect(rows).to_have_count(2)
    assert "tab=causes" in page.url and "event_name=call.ended" in page.url
    page.reload()
    expect(rows).to_have_count(2)
    rows.first.get_by_role("link").last.click()
    expect(page.get_by_role("region", name="About this delivery")).to_contain_text("HTTP 404")


def test_causes_say_how_many_deliveries_they_are_made_of(signed_in, customer, receiver):
    receiver.answer = (500, b"")
    endpoint = customer.endpoint(receiver.url)
    customer.emit()
    [row] = customer.settled(endpoint, 1)
    page = signed_in()

    def pages(route):
        more = "cursor=" not in route.request.url
        failed = "status=failed" in route.request.url
        route.fulfill(json={"data": [row] * (100 if more else 7) if failed else [], "next_cursor": "more" if more and failed else None})

    page.route(re.compile(r"/deliveries\?"), pages)
    go(page, customer, "deliveries?tab=causes")
    expect(page.get_by_text("Looked at the latest 100 failed deliveries and no retrying delivery.")).to_be_visible()
    page.get_by_role("button", name="Look further back").click()
    expect(page.get_by_text("Looked at all 107 failed deliveries and no retrying delivery.")).to_be_visible()
    expect(page.locator("td[data-label=Failed]")).to_have_text("107")
    expect(page.get_by_role("button", name="Look further back")).to_have_count(0)


def test_a_live_list_marks_what_is_new_and_stops_when_it_is_switched_off(signed_in, customer, receiver):
    endpoint = customer.endpoint(receiver.url)
    customer.emit()
    customer.settled(endpoint, 1)
    page = signed_in()
    page.get_by_role("link", name="Deliveries").click()
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(1)
    live = page.get_by_role("button", name="Live")
    live.click()
    expect(live).to_have_attribute("aria-pressed", "true")
    customer.emit("call.summary")
    expect(rows).to_have_count(2)
    expect(page.locator("tr.fresh")).to_have_count(1)
    expect(page.locator("tr.fresh")).to_contain_text("call.summary")
    expect(page.get_by_text("1 new row")).to_be_visible()

    reads = []
    page.on("request", lambda request: reads.append(request.url) if "/deliveries?" in request.url else None)
    # A hidden tab reads nothing.
    page.evaluate("Object.defineProperty(document, 'hidden', { get: () => true, configurable: true })")
    page.wait_for_timeout(200)
    reads.clear()
    page.wait_for_timeout(4_500)
    assert reads == []
    page.evaluate("Object.defineProperty(document, 'hidden', { get: () => false, configurable: true })")
    with page.expect_request(re.compile(r"/deliveries\?")):
        pass
    live.click()
    expect(live).to_have_attribute("aria-pressed", "false")
    customer.settled(endpoint, 2)
    page.get_by_role("button", name="Refresh").click()
    expect(rows.first).to_contain_text("Delivered")
    page.wait_for_timeout(500)
    reads.clear()
    page.wait_for_timeout(4_500)
    assert reads == []


def test_anything_is_found_by_its_id_in_one_step(signed_in, customer, receiver):
    endpoints = [customer.endpoint(f"{receiver.url}/{number}", ["call.ended"]) for number in range(8)]
    event = customer.emit()
    delivery = event["deliveries"][5]
    customer.settled(endpoints[0], 1)
    page = signed_in()
    asked = []
    page.on("request", lambda request: asked.append(request.url) if "/deliveries/" in request.url else None)

    def find(text):
        page.get_by_label("Find an event, a delivery or an endpoint by its id").fill(text)
        page.keyboard.press("Enter")

    find(f"x-echo-delivery: {delivery['id']}")
    expect(page.get_by_role("region", name="About this delivery")).to_contain_text(delivery["id"])
    assert page.url.endswith(f"/endpoints/{delivery['webhook_endpoint_id']}/deliveries/{delivery['id']}")
    assert [url for url in asked if "/webhooks/" not in url] == [f"{customer.path}/deliveries/{delivery['id']}"]
    find(event["event_id"].upper())
    expect(page).to_have_url(re.compile(f"/events/{event['event_id']}$"))
    find(endpoints[3]["id"])
    expect(page.get_by_role("heading", name=f"{receiver.url}/3")).to_be_visible()
    find(str(uuid.uuid4()))
    expect(page.get_by_text("This project has no event, delivery or endpoint")).to_be_visible()


def test_a_portal_link_is_made_listed_and_ended(signed_in, open_page, customer, receiver):
    customer.endpoint(receiver.url)
    page = signed_in()
    page.get_by_role("link", name="Access").click()
    page.get_by_role("link", name="Portal links").click()
    expect(page.get_by_text("No portal links")).to_be_visible()
    page.get_by_role("button", name="New link").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("To be opened within").select_option("15 minutes")
    dialog.get_by_label("Once opened, it lasts").select_option("1 hour")
    dialog.get_by_label("Only for looking").check()
    dialog.get_by_role("button", name="Create link").click()
    shown = dialog.get_by_text(re.compile("/portal#[0-9a-f]{128}$"))
    expect(shown).to_be_visible()
    url = shown.text_content()
    page.keyboard.press("Escape")
    expect(shown).to_be_visible()
    dialog.get_by_role("button", name="Copy link").click()
    expect(page.get_by_text("Link copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == url
    dialog.get_by_role("button", name="Done").click()
    row = page.locator("tbody tr")
    expect(row).to_contain_text("For looking")
    expect(row).to_contain_text("Not opened yet")
    expect(row).to_contain_text("an account")
    assert url.split("#")[1] not in page.content()

    portal = open_page(f"/portal#{url.split('#')[1]}")
    portal.get_by_role("button", name="Open", exact=True).click()
    expect(portal.get_by_role("link", name=receiver.url)).to_be_visible()
    expect(portal.get_by_role("button", name="New endpoint")).to_have_count(0)
    page.reload()
    expect(row).to_contain_text("Opened")
    expect(row).to_contain_text(re.compile("session ends in (59 minutes|1 hour)"))
    row.get_by_role("button", name="End").click()
    dialog.get_by_role("button", name="End link").click()
    expect(page.get_by_text("No portal links")).to_be_visible()
    assert customer.call("GET", "/portal-links", status=200) == []


def test_a_customer_filters_orders_and_sees_all_deliveries_in_the_portal(open_page, customer, receiver):
    endpoint = customer.endpoint(receiver.url)
    customer.emit()
    customer.settled(endpoint, 1)
    code = customer.call("POST", "/portal-links", {}, 201)["url"].split("#")[1]
    page = open_page(f"/portal#{code}")
    page.get_by_role("button", name="Open", exact=True).click()
    page.get_by_role("link", name="Deliveries").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_role("link", name=receiver.url).click()
    page.get_by_role("button", name="Edit").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Filter", exact=True).fill('{"data": {"call_id": [{"prefix": "call_"}]}}')
    dialog.get_by_text("Try the filter").click()
    dialog.get_by_role("button", name="Try on the latest 10 events").click()
    expect(dialog.locator(".verdicts li")).to_have_text([re.compile("^Passes")])
    assert "docs/" not in dialog.inner_text()
    dialog.get_by_label("Order", exact=True).select_option("All deliveries, one after another")
    dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_role("region", name="Settings")).to_contain_text("All deliveries, one after another")
    go(page, customer, "portal-links")
    expect(page.get_by_role("heading", name="Endpoints")).to_be_visible()
