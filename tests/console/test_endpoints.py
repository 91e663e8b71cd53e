"""Creating, changing and deleting endpoints and keys."""

import re

import demo
from conftest import expect


def test_an_endpoint_is_created_once_the_api_takes_it(signed_in, receiver):
    page = signed_in()
    page.get_by_role("button", name="Create the first endpoint").click()
    page.get_by_label("URL").fill("http://example.com/plain")
    page.get_by_role("button", name="Create endpoint").click()
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("Choose at least one event.")
    page.get_by_label("call.ended").check()
    page.get_by_role("button", name="Create endpoint").click()
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("This URL must use https")
    page.get_by_label("URL").fill(receiver.url)
    page.get_by_role("button", name="Create endpoint").click()
    expect(page.get_by_role("heading", name=receiver.url)).to_be_visible()
    expect(page.get_by_text("Signing secret", exact=True)).to_be_visible()
    page.get_by_role("navigation", name="Parts of this endpoint").get_by_role("link", name="Deliveries").click()
    expect(page.get_by_text("No deliveries yet").last).to_be_visible()


def test_an_endpoint_is_edited_disabled_enabled_and_deleted(signed_in, customer, receiver):
    endpoint = customer.endpoint(receiver.url)
    page = signed_in()
    page.get_by_role("link", name=receiver.url).click()
    page.get_by_role("button", name="Edit").click()
    page.get_by_label("call.ended").uncheck()
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#main .under-title .chip")).to_have_text(["call.summary"])
    assert customer.call("GET", f"/webhooks/{endpoint['id']}", status=200)["events"] == ["call.summary"]

    page.get_by_role("button", name="Disable").click()
    page.get_by_role("dialog").get_by_role("button", name="Disable").click()
    expect(page.get_by_text("This endpoint was disabled manually")).to_be_visible()
    page.get_by_role("button", name="Enable").click()
    expect(page.get_by_role("button", name="Disable")).to_be_visible()
    expect(page.get_by_text("This endpoint was disabled manually")).to_have_count(0)

    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete permanently").click()
    expect(page.get_by_text("No endpoints yet")).to_be_visible()
    assert customer.call("GET", f"/webhooks/{endpoint['id']}")[0] == 404


def test_failing_endpoints_come_first_and_are_found_again(signed_in, customer, receiver):
    receiver.answer = lambda body: (200, b"") if b"call.started" in body else (500, b"")
    for number in range(30):
        customer.endpoint(f"{receiver.url}/quiet/{number:02}", ["call.summary"])
    good = customer.endpoint(f"{receiver.url}/good", ["call.started"])
    bad = customer.endpoint(f"{receiver.url}/bad", ["call.ended"])
    customer.emit("call.started"), customer.emit("call.ended")
    customer.settled(good, 1), customer.counted(bad, 4)
    page = signed_in(viewport={"width": 1280, "height": 700})
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(32)
    expect(rows.first).to_contain_text("/bad")
    expect(rows.first).to_contain_text("Failing")
    expect(rows.first).to_contain_text("HTTP 500")
    expect(page.get_by_text("32 endpoints, 32 active, 1 failing")).to_be_visible()

    page.get_by_label("Search endpoints").fill("quiet/2")
    expect(rows).to_have_count(10)
    page.get_by_label("Order").select_option("Newest first")
    expect(rows.first).to_contain_text("/quiet/29")
    page.get_by_label("Status", exact=True).select_option("Failing")
    expect(page.get_by_text("No endpoint matches.")).to_be_visible()
    page.get_by_label("Status", exact=True).select_option("All")
    rows.first.get_by_role("link").click()
    expect(page.get_by_role("heading", name="/quiet/29")).to_be_visible()
    page.go_back()
    expect(rows).to_have_count(10)
    expect(page.get_by_label("Search endpoints")).to_have_value("quiet/2")

    page.get_by_label("Search endpoints").fill("")
    page.get_by_label("Order").select_option("By URL")
    last = rows.last.get_by_role("link")
    last.scroll_into_view_if_needed()
    last.click()
    expect(page.get_by_role("heading", name="/quiet/29")).to_be_visible()
    page.go_back()
    expect(last).to_be_in_viewport()


def test_a_list_of_endpoints_comes_without_payloads(signed_in, customer, receiver):
    endpoints = [customer.endpoint(f"{receiver.url}/{number}") for number in range(3)]
    for _ in range(8):
        customer.emit(data={"text": "x" * 20_000})
    for endpoint in endpoints:
        customer.counted(endpoint, 8)
    page = signed_in()
    expect(page.locator("main .bone")).to_have_count(0)
    sizes = []
    page.on("response", lambda answer: sizes.append(len(answer.body())) if "/v1/" in answer.url else None)
    page.reload()
    expect(page.get_by_role("img", name="Last 24 hours: 8 delivered").last).to_be_visible()
    expect(page.locator("main .bone")).to_have_count(0)
    assert sum(sizes) < 20_000, sizes


def test_a_change_by_another_person_stays(signed_in, customer, receiver):
    path = f"/webhooks/{customer.endpoint(receiver.url)['id']}"
    page = signed_in()
    page.get_by_role("link", name=receiver.url).click()
    page.get_by_role("button", name="Edit").click()
    dialog = page.get_by_role("dialog")
    theirs = {"description": "Theirs", "rate_limit_per_second": 7, "headers": {"x-tenant": "acme"}}
    customer.call("PATCH", path, theirs, status=200)
    dialog.get_by_label("call.ended").uncheck()
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)
    shown = customer.call("GET", path, status=200)
    assert {name: shown[name] for name in theirs} == theirs | {"headers": {"x-tenant": "********"}}
    assert shown["events"] == ["call.summary"]

    page.get_by_role("button", name="Edit").click()
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)
    assert customer.call("GET", path, status=200) == shown


def test_an_endpoint_gets_a_description_a_limit_and_headers_of_its_own(signed_in, customer, receiver):
    page = signed_in()
    page.get_by_role("button", name="Create the first endpoint").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("URL").fill(receiver.url)
    dialog.get_by_label("call.ended").check()
    dialog.get_by_label("Description").fill("Production, <b>the first</b>")
    dialog.get_by_label("Requests per second").fill("25")
    for name, value in (("authorization", "Bearer abc.def"), ("X-Tenant", "acme")):
        dialog.get_by_role("button", name="Add header").click()
        expect(dialog.get_by_label("Header name").last).to_be_focused()
        dialog.get_by_label("Header name").last.fill(name)
        dialog.get_by_label("Header value").last.fill(value)
    dialog.get_by_role("button", name="Create endpoint").click()
    expect(page.get_by_role("heading", name=receiver.url)).to_be_visible()
    expect(page.locator("#main .title")).to_contain_text("Production, <b>the first</b>")
    expect(page.get_by_role("region", name="Health")).to_contain_text("25 per second")
    made = customer.call("GET", "/webhooks", status=200)[0]
    assert made["headers"] == {"authorization": "********", "x-tenant": "********"}
    assert (made["description"], made["rate_limit_per_second"]) == ("Production, <b>the first</b>", 25)

    page.get_by_role("link", name="Endpoints").first.click()
    expect(page.get_by_role("row", name=receiver.url)).to_contain_text("at most 25 per second")
    expect(page.get_by_role("row", name=receiver.url)).to_contain_text("Production, <b>the first</b>")

    page.get_by_role("link", name=receiver.url).click()
    page.get_by_role("button", name="Edit").click()
    expect(dialog.get_by_label("Header name").first).to_have_value("authorization")
    assert dialog.get_by_label("Header value").first.evaluate("field => getComputedStyle(field).webkitTextSecurity") == "disc"
    dialog.get_by_role("button", name="Remove this header").first.click()
    dialog.get_by_label("Description").fill("")
    dialog.get_by_label("Requests per second").fill("")
    dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_role("region", name="Health")).to_contain_text("No limit")
    changed = customer.call("GET", f"/webhooks/{made['id']}", status=200)
    assert (changed["description"], changed["rate_limit_per_second"], changed["headers"]) == (None, None, {"x-tenant": "********"})
    customer.emit()
    customer.settled(made, 1)
    assert receiver.requests[0][0]["x-tenant"] == "acme"


def test_a_saved_header_value_is_kept_but_does_not_move_to_another_origin(signed_in, customer, receiver):
    path, elsewhere = f"/webhooks/{customer.endpoint(receiver.url)['id']}", "http://127.0.0.1:9/elsewhere"
    made = customer.call("PATCH", path, {"headers": {"authorization": "Bearer abc.def", "x-tenant": "acme"}}, 200)
    page = signed_in()
    page.get_by_role("link", name=receiver.url).click()
    page.get_by_role("button", name="Edit").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Header value").first).to_have_value("********")
    dialog.get_by_label("URL").fill(elsewhere)
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.locator("[data-field=headers] + div").get_by_role("alert")).to_contain_text("enter the value of each header again")
    assert customer.call("GET", path, status=200) == made
    dialog.get_by_label("Header value").first.fill("Bearer new")
    dialog.get_by_role("button", name="Remove this header").last.click()
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)
    changed = customer.call("GET", path, status=200)
    assert (changed["url"], changed["headers"]) == (elsewhere, {"authorization": "********"})


def test_a_refusal_is_shown_at_its_field_and_the_form_stays_as_typed(signed_in, customer, receiver):
    endpoint = customer.endpoint(receiver.url)
    page = signed_in()
    page.get_by_role("link", name=receiver.url).click()
    page.get_by_role("button", name="Edit").click()
    dialog = page.get_by_role("dialog")

    def refused(at, text):
        dialog.get_by_role("button", name="Save").click()
        said = dialog.locator(f"[data-field={at}] + div").get_by_role("alert")
        expect(said).to_contain_text(text)
        expect(dialog.get_by_role("alert")).to_have_count(1)

    dialog.get_by_label("Requests per second").fill("1.5")
    refused("rate_limit_per_second", "The rate limit must be a whole number from 1 to 1000")
    expect(dialog.get_by_label("Requests per second")).to_be_focused()
    dialog.get_by_label("Requests per second").fill("1001")
    refused("rate_limit_per_second", "from 1 to 1000")
    dialog.get_by_label("Requests per second").fill("many")
    refused("rate_limit_per_second", "from 1 to 1000")
    dialog.get_by_label("Requests per second").fill("1000")

    dialog.get_by_label("Description").fill("x" * 513)
    refused("description", "The description must be a string of at most 512 characters")
    dialog.get_by_label("Description").fill("Billing")

    dialog.get_by_role("button", name="Add header").click()
    dialog.get_by_label("Header name").fill("host")
    dialog.get_by_label("Header value").fill("example.org")
    refused("headers", "Custom headers cannot have host as it was sent; they must be an object of at most 20 headers")
    dialog.get_by_label("Header name").fill("x-a")
    dialog.get_by_role("button", name="Add header").click()
    dialog.get_by_label("Header name").last.fill("X-A")
    refused("headers", "Custom headers must have different names.")
    assert customer.call("GET", f"/webhooks/{endpoint['id']}", status=200) == endpoint

    dialog.get_by_role("button", name="Remove this header").last.click()
    dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_role("region", name="Health")).to_contain_text("1,000 per second")
    changed = customer.call("GET", f"/webhooks/{endpoint['id']}", status=200)
    assert (changed["description"], changed["headers"]) == ("Billing", {"x-a": "********"})


def test_a_secret_is_hidden_until_revealed_and_is_another_once_rotated(signed_in, customer, receiver):
    endpoint = customer.endpoint(receiver.url)
    page = signed_in()
    page.get_by_role("link", name=receiver.url).click()
    page.get_by_role("link", name="Verify").click()
    expect(page.get_by_text("whsec_•••").first).to_be_visible()
    assert endpoint["signing_secret"] not in page.content()
    page.get_by_role("button", name="Copy the signing secret").click()
    expect(page.get_by_text("Secret copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == endpoint["signing_secret"]
    page.get_by_role("button", name="Reveal").click()
    for language in ("Python", "Go", "Rust", "Node"):
        page.get_by_role("button", name=language).click()
        expect(page.locator("pre")).to_contain_text(endpoint["signing_secret"])

    page.get_by_role("button", name="Rotate secret").click()
    expect(page.get_by_role("dialog")).to_contain_text("For 24 hours")
    page.get_by_role("dialog").get_by_role("button", name="Rotate secret").click()
    shown = page.get_by_role("dialog").get_by_text(re.compile("^whsec_[0-9a-f]{64}$"))
    expect(shown).to_be_visible()
    rotated = shown.text_content()
    assert rotated != endpoint["signing_secret"]
    assert rotated == customer.call("GET", f"/webhooks/{endpoint['id']}", status=200)["signing_secret"]
    page.get_by_role("button", name="Done").click()
    page.get_by_role("button", name="Reveal").click()
    expect(page.locator("pre")).to_contain_text(rotated)


def test_a_key_gets_the_scopes_and_the_end_that_were_chosen(signed_in, customer):
    page = signed_in()
    page.get_by_role("link", name="Access").click()
    page.get_by_role("button", name="New key").click()
    page.get_by_label("Name").fill("Producer")
    scopes = ["events:write", "read", "endpoints:write", "keys:write"]
    for scope in scopes:
        page.get_by_label(scope, exact=True).uncheck()
    page.get_by_role("button", name="Create key").click()
    expect(page.get_by_role("alert")).to_contain_text("Choose at least one scope")
    page.get_by_label("events:write").check()
    page.get_by_label("Expires").select_option("In 30 days")
    page.get_by_role("button", name="Create key").click()
    page.get_by_role("button", name="Done").click()
    row = page.get_by_role("row", name="Producer")
    expect(row).to_contain_text("events:write")
    expect(row).not_to_contain_text("keys:write")
    expect(row).to_contain_text(re.compile("in (29|30) days"))
    expect(page.get_by_role("row", name="default")).to_contain_text("All")


def test_a_key_that_only_reads_sees_no_secret(open_page, customer, receiver, api_url):
    endpoint = customer.endpoint(receiver.url)
    key = demo.call("POST", f"{api_url}/v1/api-keys", {"name": "reader", "scopes": ["read"]}, x_api_key=customer.api_key)[1]["key"]
    page = open_page()
    page.get_by_role("button", name="API key").click()
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name=receiver.url).click()
    page.get_by_role("link", name="Verify").click()
    expect(page.get_by_text("lacks the scope endpoints:write")).to_be_visible()
    expect(page.get_by_role("button", name="Reveal")).to_have_count(0)
    assert endpoint["signing_secret"] not in page.content()
    page.get_by_role("button", name="Rotate secret").click()
    page.get_by_role("dialog").get_by_role("button", name="Rotate secret").click()
    expect(page.get_by_role("alert")).to_contain_text("The API key lacks the scope endpoints:write")


def test_a_key_is_shown_once_and_revoked(signed_in, customer):
    page = signed_in()
    page.get_by_role("link", name="Access").click()
    page.get_by_role("button", name="New key").click()
    page.get_by_role("button", name="Create key").click()
    expect(page.get_by_role("alert")).to_contain_text("The name must be")
    page.get_by_label("Name").fill("Backend")
    page.get_by_role("button", name="Create key").click()
    shown = page.get_by_role("dialog").get_by_text(re.compile("^echo_[0-9a-f]{64}$"))
    expect(shown).to_be_visible()
    key = shown.text_content()
    # The key is never shown again, so only the button closes the dialog.
    for _ in range(3):
        page.keyboard.press("Escape")
    page.mouse.click(5, 5)
    expect(shown).to_be_visible()
    page.get_by_role("button", name="Copy key").click()
    expect(page.get_by_text("Key copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == key
    page.get_by_role("button", name="Done").click()
    expect(page.get_by_role("row", name="Backend")).to_contain_text("Active")
    assert key not in page.content()

    customer.api_key = key
    customer.call("GET", "/webhooks", status=200)
    page.get_by_role("button", name="Revoke Backend").click()
    page.get_by_role("button", name="Revoke key").click()
    expect(page.get_by_role("row", name="Backend")).to_contain_text("Revoked")
