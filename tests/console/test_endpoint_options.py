"""An endpoint's order, filter and wildcards in its form."""

import datetime
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
    expect(settings.get_by_label("Filter")).to_contain_text('"data": { "duration_seconds": [{ "numeric": [">", 60.0] }] }')
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
    expect(dialog).to_have_count(0)
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


def with_fields(page, endpoint, **fields):
    """Shows the endpoint with these fields, and keeps what is sent to change it."""
    sent = []

    def answer(route):
        if route.request.method == "PATCH":
            sent.append(json.loads(route.request.post_data))
            return route.fulfill(json=endpoint | fields)
        real = route.fetch()
        body = real.json()
        shown = [each | fields for each in body] if isinstance(body, list) else body | fields
        return route.fulfill(response=real, json=shown)

    page.route(re.compile(f"/webhooks(/{endpoint['id']})?$"), answer)
    return sent


def test_a_failing_endpoint_says_when_it_will_be_disabled(signed_in, customer, receiver):
    endpoint = customer.endpoint(receiver.url)
    page = signed_in()
    at = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=3, minutes=20)
    with_fields(page, endpoint, consecutive_failures=10, disables_at=at.strftime("%Y-%m-%dT%H:%M:%S.000Z"))
    page.reload()
    row = page.locator("tbody tr")
    expect(row).to_contain_text("Failing")
    expect(row).to_contain_text("will be disabled in 3 hours if nothing succeeds")
    page.get_by_role("link", name=receiver.url).click()
    expect(page.get_by_text("The service disables it in 3 hours if no delivery succeeds until then.")).to_be_visible()


def test_an_endpoint_with_oauth_keeps_its_secret_and_does_not_move_it(signed_in, customer, receiver):
    endpoint = customer.endpoint(receiver.url)
    auth = {"type": "oauth2", "token_url": "https://a.example/token", "client_id": "me", "client_secret": "********", "scope": None}
    page = signed_in()
    sent = with_fields(page, endpoint, auth=auth, ed25519=False, public_key=None)
    dialog = edit(page, receiver)
    expect(page.get_by_role("region", name="Settings")).to_contain_text("OAuth 2.0, client me, token from https://a.example/token")
    expect(dialog.get_by_label("Client secret")).to_have_value("********")
    assert dialog.get_by_label("Client secret").evaluate("field => getComputedStyle(field).webkitTextSecurity") == "disc"
    dialog.get_by_label("Scope").fill("hooks")
    dialog.get_by_label("Also sign with Ed25519").check()
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)
    assert sent == [{"auth": auth | {"scope": "hooks"}, "ed25519": True}]

    page.get_by_role("button", name="Edit").click()
    dialog.get_by_label("Token URL").fill("https://b.example/token")
    dialog.get_by_role("button", name="Save").click()
    said = dialog.locator("[data-field=auth] + div").get_by_role("alert")
    expect(said).to_contain_text("A URL moves to another origin, so enter the secret again.")
    dialog.get_by_label("Client secret").fill("new")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)
    assert sent[1:] == [{"auth": {"type": "oauth2", "token_url": "https://b.example/token", "client_id": "me", "client_secret": "new"}}]


def test_an_endpoint_gets_a_client_certificate_and_shows_its_public_key(signed_in, customer, receiver):
    endpoint = customer.endpoint(receiver.url)
    page = signed_in()
    sent = with_fields(page, endpoint, auth=None, ed25519=True, public_key="whpk_AAAA")
    page.get_by_role("link", name=receiver.url).click()
    page.get_by_role("button", name="Copy the public key").click()
    expect(page.get_by_text("Copied", exact=True)).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == "whpk_AAAA"
    page.get_by_role("button", name="Edit").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Authentication at the receiver").select_option("Client certificate (mTLS)")
    dialog.get_by_label("Certificate (PEM)").fill("-----BEGIN CERTIFICATE-----\nx")
    dialog.get_by_label("Private key (PEM)").fill("-----BEGIN PRIVATE KEY-----\ny")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)
    pem = {"certificate": "-----BEGIN CERTIFICATE-----\nx", "key": "-----BEGIN PRIVATE KEY-----\ny"}
    assert sent == [{"auth": {"type": "mtls"} | pem}]
