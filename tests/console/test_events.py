"""Events, their deliveries and skipped endpoints, test events and replays."""

from conftest import expect


def test_a_test_event_is_sent_and_seen_arriving(signed_in, customer, receiver):
    customer.endpoint(receiver.url, ["call.summary"])
    page = signed_in()
    page.get_by_role("link", name=receiver.url).click()
    page.get_by_role("link", name="Verify").click()
    page.get_by_role("button", name="Send test").click()
    expect(page.get_by_label("Event", exact=True)).to_have_value("call.summary")
    # A test event may have a name to which the endpoint does not subscribe.
    page.get_by_label("Event", exact=True).select_option("call.started")
    page.get_by_role("button", name="Send", exact=True).click()
    row = page.locator("tbody tr")
    expect(row).to_contain_text("call.started")
    expect(row).to_contain_text("Delivered")
    assert [headers["x-echo-event"] for headers, _ in receiver.requests] == ["call.started"]


def test_a_disabled_endpoint_is_not_offered_a_test(signed_in, customer, receiver):
    endpoint = customer.endpoint(receiver.url)
    customer.call("PATCH", f"/webhooks/{endpoint['id']}", {"status": "disabled"}, 200)
    page = signed_in()
    page.get_by_role("link", name=receiver.url).click()
    expect(page.get_by_role("button", name="Enable")).to_be_visible()
    expect(page.get_by_role("button", name="Send test")).to_have_count(0)


def test_events_are_shown_with_who_got_them_and_who_was_skipped(signed_in, customer, receiver):
    endpoint = customer.endpoint(f"{receiver.url}/taken", ["call.ended"])
    customer.endpoint(f"{receiver.url}/skipped", ["call.summary"])
    event = customer.emit("call.ended", {"text": "<b>bold</b>"})
    customer.settled(endpoint, 1)
    customer.emit("call.started")
    page = signed_in()
    page.get_by_role("link", name="Events", exact=True).click()
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("call.started")
    expect(rows.first).to_contain_text("none")
    expect(rows.last).to_contain_text("1 delivered")
    page.get_by_label("Event", exact=True).select_option("call.ended")
    expect(rows).to_have_count(1)
    rows.get_by_role("link", name="call.ended").click()

    expect(page.get_by_text(event["event_id"], exact=True)).to_be_visible()
    delivered = page.get_by_role("region", name="Deliveries")
    expect(delivered).to_contain_text("Delivered")
    expect(page.get_by_label("Skipped endpoints")).to_contain_text("the endpoint was not subscribed")
    expect(page.get_by_role("group", name="Payload, formatted")).to_contain_text('"text": "<b>bold</b>"')
    delivered.get_by_role("link", name=f"{receiver.url}/taken").click()
    expect(page.locator("ol.attempts > li")).to_have_count(1)
    page.get_by_role("link", name=event["event_id"]).click()
    expect(page.get_by_label("Skipped endpoints")).to_be_visible()

    customer.call("DELETE", f"/webhooks/{endpoint['id']}")
    page.reload()
    expect(page.get_by_role("region", name="Deliveries")).to_contain_text("a deleted endpoint")


def test_failed_deliveries_are_replayed(signed_in, customer, receiver):
    receiver.answer = (500, b"out of order")
    endpoint = customer.endpoint(receiver.url)
    customer.emit("call.ended")
    customer.emit("call.summary")
    customer.settled(endpoint, 2)
    receiver.answer = (200, b"")
    page = signed_in()
    page.get_by_role("link", name=receiver.url).click()
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(2)
    page.get_by_role("button", name="Replay").click()
    page.get_by_role("dialog").get_by_label("Event", exact=True).select_option("call.ended")
    expect(page.get_by_role("dialog").get_by_role("status")).to_have_text("1 delivery matches.")
    page.get_by_role("button", name="Start replay").click()
    replay = page.get_by_role("region", name="Replay")
    expect(replay).to_contain_text("Finished")
    expect(replay).to_contain_text("1 match found, 1 sent again")
    expect(replay).to_contain_text("Failed deliveries of call.ended")
    expect(rows.filter(has_text="call.ended")).to_contain_text("Delivered")
    expect(rows.filter(has_text="call.summary")).to_contain_text("Failed")
    page.reload()
    expect(replay).to_contain_text("1 match found, 1 sent again")
    # The replay stays in view while the list is filtered.
    page.get_by_label("Event", exact=True).select_option("call.summary")
    expect(rows).to_have_count(1)
    expect(replay).to_be_visible()
    assert "replay=" in page.url
    replay.get_by_role("link", name="All replays").click()
    listed = page.get_by_role("region", name="Replays").locator("tbody tr")
    expect(listed).to_contain_text("Failed deliveries of call.ended")
    listed.get_by_role("link").click()
    expect(replay).to_contain_text("1 match found, 1 sent again")

    page.get_by_role("button", name="Replay", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("To", exact=True).fill("2001-01-01T00:00")
    dialog.get_by_role("button", name="Start replay").click()
    expect(dialog.get_by_role("alert")).to_contain_text("From must be earlier than To.")


def test_an_event_that_does_not_exist_is_not_found(signed_in, customer):
    page = signed_in()
    page.evaluate("address => (location.hash = address)", f"#/projects/{customer.project_id}/events/{customer.project_id}")
    expect(page.get_by_role("heading", name="Not found")).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text("Event not found in this project")
