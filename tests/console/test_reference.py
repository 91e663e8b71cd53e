"""The reference page at /docs."""

import os
import re
import shutil
import subprocess
import sys

import pytest

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
        expect(section.locator("details.answer:not(.trial)")).to_have_count(len(operation["responses"]))
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
    expect(page).to_have_url(re.compile("#rotateSigningSecret$"))
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


def test_the_deployments_event_names_are_examples_and_no_limit(open_page, api_url):
    schemas = demo.expect(200, demo.call("GET", f"{api_url}/openapi.json"), "reading the description")["components"]["schemas"]
    page = open_page("/docs")
    events, subscriptions = (", ".join(schemas[name]["x-extensible-enum"]) for name in ("KnownEventName", "Subscription"))
    expect(page.locator("#createEvent li[data-name=event_name]").first).to_contain_text(f"such as {events}")
    wanted = page.locator("#createWebhookEndpoint li[data-name=events]").first
    expect(wanted).to_contain_text(f"such as {subscriptions}")
    # Contract §7.
    expect(wanted).to_contain_text("endpoint.failing")


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


# The commands that run a sample in its language.
RUN = {"curl": ["sh", "-c"], "Python": [sys.executable, "-c"], "Node": ["node", "--input-type=module", "-e"]}


@pytest.mark.parametrize("language", RUN)
def test_a_sample_runs_as_it_is_copied(open_page, customer, language):
    if not shutil.which(RUN[language][0]):
        pytest.skip(f"{RUN[language][0]} is not installed")
    page = open_page(f"/docs?project_id={customer.project_id}")
    section = page.locator("#createEvent .samples")
    section.get_by_label("Language").select_option(language)
    expect(page.locator("#getWebhookEndpoint .samples").get_by_label("Language")).to_have_value(language)
    section.get_by_role("button", name="Copy").first.click()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert customer.api_key not in copied
    env = os.environ | {"ECHO_API_KEY": customer.api_key}
    ran = subprocess.run([*RUN[language], copied], env=env, check=True, capture_output=True, text=True)
    assert "202" in ran.stdout or '"duplicate":false' in ran.stdout, ran.stdout
    [event] = customer.call("GET", "/events", status=200)["data"]
    assert event["event_name"] == "call.ended"


def test_go_has_a_sample_too(open_page, api_url):
    page = open_page("/docs?language=Go")
    code = page.locator("#createEvent .samples pre").first
    expect(code).to_contain_text(f'http.NewRequest("POST", "{api_url}/v1/projects/PROJECT_ID/events", strings.NewReader(`{{')
    expect(code).to_contain_text('request.Header.Set("x-api-key", os.Getenv("ECHO_API_KEY"))')


def test_a_call_is_tried_with_a_key_that_is_not_kept(open_page, customer, receiver):
    endpoint = customer.endpoint(receiver.url)
    page = open_page(f"/docs?project_id={customer.project_id}")
    show = page.locator("#getWebhookEndpoint")
    show.get_by_text("Try it").click()
    expect(show.get_by_label("projectId")).to_have_value(customer.project_id)
    show.get_by_role("button", name="Send GET").click()
    expect(show.get_by_text("Type your key or token at the top of this page first.")).to_be_visible()
    expect(page.get_by_label("Key or token, to try calls")).to_be_focused()
    page.get_by_label("Key or token, to try calls").fill(customer.api_key)
    page.get_by_label("Endpoint id").fill(endpoint["id"])
    expect(show.get_by_label("webhookId")).to_have_value(endpoint["id"])
    show.get_by_role("button", name="Send GET").click()
    expect(show.get_by_label("Answer")).to_contain_text(f'"url": "{receiver.url}"')
    expect(show.get_by_label("Answer")).to_contain_text("x-request-id:")

    post = page.locator("#createEvent")
    post.get_by_text("Try it").click()
    post.get_by_label("Body").fill('{"event_name": "call.ended", "data": {"price": 1.10}}')
    post.get_by_role("button", name="Send POST").click()
    expect(post.get_by_role("status").get_by_text("202", exact=True)).to_be_visible()
    customer.settled(endpoint, 1)
    assert b'"price": 1.10' in receiver.requests[0][1] or b'"price":1.10' in receiver.requests[0][1]
    post.get_by_label("Body").fill("not JSON")
    post.get_by_role("button", name="Send POST").click()
    expect(post.get_by_role("status").get_by_text("400", exact=True)).to_be_visible()

    listing = page.locator("#listDeliveries")
    listing.get_by_text("Try it").click()
    listing.get_by_label("status", exact=True).fill("failed")
    with page.expect_request(re.compile(r"/deliveries\?status=failed$")):
        listing.get_by_role("button", name="Send GET").click()
    page.reload()
    expect(page.get_by_label("Key or token, to try calls")).to_have_value("")
    assert customer.api_key not in page.content()
    assert page.evaluate("JSON.stringify([localStorage, sessionStorage, document.cookie])") == '[{},{},""]'


def test_it_fits_a_phone_and_is_the_same_under_api(open_page):
    page = open_page("/api/docs", viewport={"width": 360, "height": 740}, color_scheme="dark")
    expect(page.get_by_role("heading", name="Echo Webhooks API")).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.get_by_label("Search operations").fill("retry")
    page.locator("#index").get_by_role("link", name="Retry a delivery").click()
    expect(page.locator("#retryDelivery")).to_be_in_viewport()
