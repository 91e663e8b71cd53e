"""The page of a project's activity."""

import re

import pytest
from playwright.sync_api import Page

import demo
from conftest import expect


def at_activity(page: Page):
    page.get_by_role("link", name="Access").click()
    page.get_by_role("link", name="Activity").click()
    expect(page.get_by_role("heading", name="Activity")).to_be_visible()
    expect(page.locator("main .bone")).to_have_count(0)


def key_with(customer, scopes):
    answer = demo.call("POST", f"{customer.api_url}/v1/api-keys", {"name": "some", "scopes": scopes}, x_api_key=customer.api_key)
    return demo.expect(201, answer, "a key")["key"]


def row(page: Page, said):
    return page.get_by_role("row").filter(has_text=said)


def test_each_change_says_what_was_done_by_whom_and_to_what(signed_in, customer, receiver):
    endpoint = customer.endpoint(receiver.url)
    gone = customer.endpoint(f"{receiver.url}/gone")
    customer.call("PATCH", f"/webhooks/{endpoint['id']}", {"description": "billing", "rate_limit_per_second": 7}, 200)
    customer.call("PATCH", f"/webhooks/{endpoint['id']}", {"status": "disabled"}, 200)
    customer.call("DELETE", f"/webhooks/{gone['id']}", status=204)
    page = signed_in()
    at_activity(page)

    changed = row(page, "Changed the endpoint")
    expect(changed).to_contain_text("Description")
    expect(changed).to_contain_text("Rate limit")
    expect(changed).to_contain_text("the key default")
    expect(changed).to_contain_text(re.compile(r"(\d+\.){3}\d+|::1"))
    expect(changed).not_to_contain_text("billing")
    expect(row(page, "Disabled the endpoint")).not_to_contain_text("Status")
    expect(row(page, "Created the project")).to_contain_text("you")
    deleted = row(page, "Deleted the endpoint")
    expect(deleted).to_contain_text(gone["id"][-12:])
    expect(deleted.get_by_role("link")).to_have_count(0)
    expect(page.locator("tbody tr").first).to_contain_text("Deleted the endpoint")

    changed.get_by_role("link", name=receiver.url).click()
    expect(page.get_by_role("heading", name=receiver.url)).to_be_visible()
    page.go_back()
    expect(row(page, "Changed the endpoint")).to_be_visible()


def test_what_the_person_does_is_there_at_once_and_names_the_thing(signed_in):
    page = signed_in()
    page.get_by_role("link", name="Access").click()
    page.get_by_role("button", name="New key").click()
    page.get_by_role("dialog").get_by_label("Name").fill("Production backend")
    page.get_by_role("button", name="Create key").click()
    page.get_by_role("button", name="Done").click()
    at_activity(page)
    expect(row(page, "Created the API key")).to_contain_text("Production backend")
    expect(row(page, "Created the API key")).to_contain_text("you")


def test_the_service_and_a_portal_link_stand_as_themselves(signed_in, customer, receiver):
    receiver.answer = (410, b"")
    endpoint = customer.endpoint(receiver.url)
    link = customer.call("POST", "/portal-links", {}, 201)
    customer.emit()
    customer.settled(endpoint, 1)
    page = signed_in()
    at_activity(page)
    disabled = row(page, "Disabled the endpoint")
    expect(disabled.get_by_role("cell")).to_contain_text([receiver.url, "the service", "", "ago"])
    expect(row(page, "Created the portal link")).to_contain_text(link["id"][-12:])


def test_older_entries_follow_by_keyboard_and_a_period_narrows_the_list(signed_in, customer, receiver):
    endpoint = customer.endpoint(receiver.url)
    for number in range(28):
        customer.call("PATCH", f"/webhooks/{endpoint['id']}", {"description": str(number)}, 200)
    page = signed_in()
    at_activity(page)
    expect(page.locator("tbody tr")).to_have_count(25)
    page.get_by_role("button", name="Show older").focus()
    page.keyboard.press("Enter")
    expect(page.locator("tbody tr")).to_have_count(30)
    expect(page.locator("tbody tr").nth(25).get_by_role("link")).to_be_focused()

    page.get_by_label("Time", exact=True).select_option("From … to …")
    page.get_by_label("To", exact=True).fill("2026-01-01T00:00")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Nothing matches")).to_be_visible()
    assert "until=" in page.url
    page.get_by_role("button", name="Clear the filters").click()
    expect(page.locator("tbody tr")).to_have_count(25)
    expect(page.get_by_label("Event", exact=True)).to_have_count(0)


@pytest.mark.parametrize("scopes", [["read", "endpoints:write"], ["keys:write"]])
def test_a_key_sees_it_as_far_as_its_scopes_reach(open_page, customer, receiver, scopes):
    endpoint = customer.endpoint(receiver.url)
    key = key_with(customer, scopes)
    page = open_page()
    page.get_by_role("button", name="API key", exact=True).click()
    page.get_by_label("API key", exact=True).fill(key)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    page.evaluate("address => (location.hash = address)", f"#/projects/{customer.project_id}/activity")
    if "keys:write" in scopes:
        # Without the scope `read` there is no list of endpoints.
        expect(row(page, "Created the endpoint")).to_contain_text(endpoint["id"][-12:])
        expect(row(page, "Created the API key")).to_contain_text("the key default")
    else:
        expect(page.get_by_role("alert")).to_contain_text("lacks the scope keys:write")


def test_the_portal_has_no_activity(open_page, customer, receiver):
    customer.endpoint(receiver.url)
    code = customer.call("POST", "/portal-links", {}, 201)["url"].split("#")[1]
    page = open_page(f"/portal#{code}")
    page.get_by_role("button", name="Open", exact=True).click()
    expect(page.get_by_role("link", name=receiver.url)).to_be_visible()
    page.evaluate("address => (location.hash = address)", f"#/projects/{customer.project_id}/activity")
    expect(page.get_by_role("heading", name="Endpoints")).to_be_visible()
    expect(page.get_by_role("link", name="Activity")).to_have_count(0)
