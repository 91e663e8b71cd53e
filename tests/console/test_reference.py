"""The reference page at /docs."""

import demo
from conftest import expect


def operations(api_url):
    document = demo.expect(200, demo.call("GET", f"{api_url}/openapi.json"), "reading the description")
    items = [*document["paths"].values(), *document["webhooks"].values()]
    return [operation for item in items for operation in item.values()]


def test_every_operation_is_shown_with_how_to_call_it(open_page, api_url):
    page = open_page("/docs")
    for operation in operations(api_url):
        section = page.locator(f"#{operation['operationId']}")
        expect(section.get_by_role("heading", name=operation["summary"], exact=True)).to_be_visible()
        expect(section.locator("details.answer")).to_have_count(len(operation["responses"]))
        expect(section.locator(".samples pre").first).to_contain_text(
            "POST" if operation["operationId"] == "receiveEvent" else f"'{api_url}/"
        )
    page.locator("#createEvent .samples").get_by_role("button", name="Copy").first.click()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith(f"curl -X POST '{api_url}/v1/projects/PROJECT_ID/events'"), copied


def test_search_narrows_the_list_and_leads_to_what_it_finds(open_page):
    page = open_page("/docs")
    expect(page.locator("#index").get_by_role("link", name="Sign up")).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("rotate secret")
    page.keyboard.press("Enter")
    assert page.url.endswith("#rotateSigningSecret")
    expect(page.locator("#rotateSigningSecret")).to_be_in_viewport()
    page.get_by_label("Search operations").fill("no-such-thing")
    expect(page.get_by_text("Nothing matches.")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#index").get_by_role("link", name="Sign up")).to_be_visible()


def test_search_finds_fields_statuses_and_headers(open_page):
    page = open_page("/docs")
    search, links = page.get_by_label("Search operations"), page.locator("#index a:visible")
    search.fill("rate_limit_per_second")
    expect(page.locator("#index").get_by_role("link", name="Create a webhook endpoint")).to_be_visible()
    expect(page.locator("#index").get_by_role("link", name="Sign up")).to_be_hidden()
    links.first.click()
    expect(page.locator("li.found[data-name=rate_limit_per_second]")).to_be_in_viewport()
    search.fill("410")
    expect(links.first).to_be_visible()
    search.fill("retry-after")
    expect(page.locator("#index").get_by_role("link", name="Post an event", exact=False).first).to_be_visible()
    links.first.click()
    expect(page.locator("[data-name=retry-after].found")).to_be_in_viewport()


def test_samples_have_the_readers_own_ids(open_page, customer, api_url):
    page = open_page(f"/docs?project_id={customer.project_id}")
    request = page.locator("#createEvent .samples pre").first
    expect(request).to_contain_text(f"{api_url}/v1/projects/{customer.project_id}/events'")
    shown = page.locator("#getWebhookEndpoint .samples pre").first
    expect(shown).to_contain_text("/webhooks/WEBHOOK_ID'")
    page.get_by_label("Endpoint id").fill("0197c2a4-5c30-7aaa-9bbc-79638b7b01e0")
    expect(shown).to_contain_text("/webhooks/0197c2a4-5c30-7aaa-9bbc-79638b7b01e0'")
    page.get_by_label("Endpoint id").fill("'; rm -rf /; '")
    expect(shown).to_contain_text("/webhooks/WEBHOOK_ID'")


def test_it_fits_a_phone_and_is_the_same_under_api(open_page):
    page = open_page("/api/docs", viewport={"width": 360, "height": 740}, color_scheme="dark")
    expect(page.get_by_role("heading", name="Echo Webhooks API")).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.get_by_label("Search operations").fill("retry")
    page.locator("#index").get_by_role("link", name="Retry a delivery").click()
    expect(page.locator("#retryDelivery")).to_be_in_viewport()
