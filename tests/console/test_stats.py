"""What happened over time: the sparklines of the list, and an endpoint's charts."""

import re

from conftest import expect


def mixed(customer, receiver):
    """An endpoint with two deliveries that succeed and one that fails after three retries, and one with nothing."""
    receiver.answer = lambda body: (500, b"") if b"call.summary" in body else (200, b"")
    quiet = customer.endpoint(f"{receiver.url}/quiet", ["call.started"])
    busy = customer.endpoint(f"{receiver.url}/busy", ["call.ended", "call.summary"])
    customer.emit("call.ended"), customer.emit("call.ended"), customer.emit("call.summary")
    customer.counted(busy, 6)
    return quiet, busy


def test_a_list_shows_the_last_day_of_each_endpoint_from_one_call(signed_in, customer, receiver):
    mixed(customer, receiver)
    page = signed_in()
    expect(page.locator("main .bone")).to_have_count(0)
    asked = []
    page.on("request", lambda request: asked.append(request.url) if "/v1/projects/" in request.url else None)
    page.reload()
    busy, quiet = page.get_by_role("row", name="/busy"), page.get_by_role("row", name="/quiet")
    expect(busy.get_by_role("img", name="Last 24 hours: 2 delivered, 1 failed, 3 retried")).to_be_visible()
    expect(busy).to_contain_text("67 % of 3")
    expect(quiet.get_by_role("img", name="Last 24 hours: nothing")).to_be_visible()
    expect(quiet).to_contain_text("none in 24 h")
    assert [url.split("/")[-1] for url in asked] == ["webhooks", "stats"], asked


def test_an_endpoint_shows_its_day_and_its_week(signed_in, customer, receiver):
    _, busy = mixed(customer, receiver)
    page = signed_in()
    page.get_by_role("link", name="/busy").click()
    activity = page.get_by_role("region", name="Activity")
    chart = activity.get_by_role("img", name="Deliveries by the hour: 2 delivered, 1 failed, 3 retried")
    expect(chart).to_be_visible()
    expect(activity.get_by_role("img", name=re.compile("^Time to answer: half within .+, 95 % within "))).to_be_visible()
    hours = chart.locator(".hour")
    expect(hours).to_have_count(24)
    # The hour may have turned since then, so it need not be the last one.
    expect(hours.locator("title").filter(has_text="delivered").first).to_be_attached()
    activity.get_by_text("Show as a table").click()
    row = activity.locator("tbody tr").first
    expect(row.locator("td")).to_have_count(5)
    activity.get_by_role("button", name="Week").click()
    expect(hours).to_have_count(168)

    customer.emit("call.ended")
    customer.counted(busy, 7)
    page.reload()
    expect(activity.get_by_role("img", name="Deliveries by the hour: 3 delivered, 1 failed, 3 retried")).to_be_visible()


def test_a_deployment_without_statistics_shows_neither(signed_in, customer, receiver):
    mixed(customer, receiver)
    page = signed_in()
    refusal = {"statusCode": 404, "message": "This deployment keeps no hourly statistics", "error": "Not Found"}
    page.route("**/v1/**/stats*", lambda route: route.fulfill(status=404, json=refusal))
    page.reload()
    expect(page.get_by_role("row", name="/busy")).to_be_visible()
    expect(page.get_by_role("columnheader", name="Last 24 hours")).to_have_count(0)
    page.get_by_role("link", name="/busy").click()
    expect(page.get_by_role("region", name="Health")).to_be_visible()
    expect(page.locator("tbody tr").first).to_be_visible()
    expect(page.get_by_role("region", name="Activity")).to_have_count(0)
    page.unroute_all(behavior="ignoreErrors")
