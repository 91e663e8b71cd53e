"""Endpoints and keys: making, changing and removing them."""

import re

from conftest import expect


def test_an_endpoint_is_created_once_the_api_takes_it(signed_in, receiver):
    page = signed_in()
    page.get_by_role("button", name="Create the first endpoint").click()
    page.get_by_label("URL").fill("http://example.com/plain")
    page.get_by_label("call.ended").check()
    page.get_by_role("button", name="Create endpoint").click()
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("url must use https")
    page.get_by_label("URL").fill(receiver.url)
    page.get_by_role("button", name="Create endpoint").click()
    expect(page.get_by_role("heading", name=receiver.url)).to_be_visible()
    expect(page.get_by_text("Signing secret", exact=True)).to_be_visible()
    page.get_by_role("link", name="Deliveries").click()
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
    expect(page.get_by_text("It was disabled by hand")).to_be_visible()
    page.get_by_role("button", name="Enable").click()
    expect(page.get_by_role("button", name="Disable")).to_be_visible()
    expect(page.get_by_text("It was disabled by hand")).to_have_count(0)

    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete for good").click()
    expect(page.get_by_text("No endpoints yet")).to_be_visible()
    assert customer.call("GET", f"/webhooks/{endpoint['id']}")[0] == 404


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


def test_a_key_is_shown_once_and_revoked(signed_in, customer):
    page = signed_in()
    page.get_by_role("link", name="API keys").click()
    page.get_by_role("button", name="New key").click()
    page.get_by_role("button", name="Create key").click()
    expect(page.get_by_role("alert")).to_contain_text("name must be")
    page.get_by_label("Name").fill("Backend")
    page.get_by_role("button", name="Create key").click()
    shown = page.get_by_role("dialog").get_by_text(re.compile("^echo_[0-9a-f]{64}$"))
    expect(shown).to_be_visible()
    key = shown.text_content()
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
