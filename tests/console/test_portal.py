"""The portal: a project's customer comes by a link, sees one project with the console's files, and can be embedded in another site."""

import json
import re
import time

import pytest
from playwright.sync_api import Page

import demo
from conftest import PATIENCE_MS, expect

NAME = "Acme & Söhne"
SITE = "http://localhost:3000"
# Another origin of the service's own site, to whose pages browsers do not forbid storage.
SUBDOMAIN = "http://127.0.0.1:3000"
# What a browser does that forbids storage to pages of another site, as some do by themselves.
NO_STORAGE = """for (const name of ["sessionStorage", "localStorage"]) Object.defineProperty(window, name,
    { get() { throw new DOMException("denied", "SecurityError"); } });"""


class Link:
    def __init__(self, customer, **body):
        answer = customer.call("POST", "/portal-links", body, 201)
        self.id, self.code = answer["id"], answer["url"].split("#")[1]
        self.customer, self.path = customer, f"/portal#{self.code}"

    def redeemed(self):
        listed = {link["id"]: link for link in self.customer.call("GET", "/portal-links", status=200)}
        return listed[self.id]["redeemed_at"]

    def end(self):
        assert demo.call("DELETE", f"{self.customer.path}/portal-links/{self.id}", None, x_api_key=self.customer.api_key)[0] == 204


def press(page):
    page.get_by_role("button", name="Open", exact=True).click()


def enter(open_page, link, **options) -> Page:
    page = open_page(link.path, **options)
    press(page)
    expect(page.get_by_role("heading", name="Endpoints")).to_be_visible()
    return page


def outside(page):
    """Nothing of the project is on the page, and no button leads in."""
    expect(page.get_by_role("heading", name=NAME)).to_be_visible()
    expect(page.get_by_role("navigation")).to_have_count(0)


def test_a_link_opens_the_project_under_the_operators_name(open_page, customer, receiver):
    customer.endpoint(receiver.url)
    link = Link(customer)
    page = open_page(link.path)
    outside(page)
    assert page.title() == NAME
    press(page)
    expect(page.get_by_role("link", name=receiver.url)).to_be_visible()
    assert page.title() == f"Endpoints · {NAME}"
    assert link.code not in page.url and f"link={link.id.replace('-', '')}" in page.url
    expect(page.get_by_role("link", name="Access")).to_have_count(0)
    expect(page.get_by_role("link", name="API reference")).to_have_count(0)
    page.goto(re.sub("endpoints$", "keys", page.url))
    expect(page.get_by_role("heading", name="Endpoints")).to_be_visible()
    assert "Echo" not in page.inner_text("body")


def test_a_customer_finds_the_fault_mends_it_and_replays(open_page, customer, receiver):
    receiver.answer = (500, b"the database is away")
    page = enter(open_page, Link(customer))
    page.get_by_role("button", name="Create the first endpoint").click()
    page.get_by_label("URL").fill(receiver.url)
    page.get_by_label("call.ended").check()
    page.get_by_role("button", name="Create endpoint").click()
    page.get_by_role("button", name="Reveal").click()
    expect(page.locator("p.secret code")).to_have_text(re.compile("^whsec_[0-9a-f]{64}$"))
    customer.emit()
    [endpoint] = customer.call("GET", "/webhooks", status=200)
    customer.settled(endpoint, 1)
    page.get_by_role("navigation", name="Parts of this endpoint").get_by_role("link", name="Deliveries").click()
    page.locator("tbody").get_by_role("link", name="call.ended").click()
    expect(page.get_by_text("the database is away").first).to_be_visible()
    receiver.answer = (200, b"")
    page.get_by_role("button", name="Retry now").click()
    expect(page.get_by_role("button", name="Send again")).to_be_visible()


def test_a_link_for_looking_has_no_buttons_that_change_and_no_secret(open_page, customer, receiver):
    endpoint = customer.endpoint(receiver.url)
    customer.emit()
    customer.settled(endpoint, 1)
    page = enter(open_page, Link(customer, read_only=True))
    expect(page.get_by_text("View only")).to_be_visible()
    expect(page.get_by_role("button", name="New endpoint")).to_have_count(0)
    page.get_by_role("link", name=receiver.url).click()
    expect(page.get_by_role("link", name="call.ended")).to_be_visible()
    for name in ("Send test", "Replay", "Edit", "Disable", "Rotate secret", "Delete"):
        expect(page.get_by_role("button", name=name)).to_have_count(0)
    page.get_by_role("link", name="Verify").click()
    expect(page.get_by_text("for looking only")).to_be_visible()
    assert "whsec_" not in page.content().replace("whsec_••••••••••••", "")
    page.get_by_role("navigation", name="Parts of this endpoint").get_by_role("link", name="Deliveries").click()
    page.get_by_role("link", name="call.ended").click()
    expect(page.get_by_role("heading", name="Attempts")).to_be_visible()
    expect(page.get_by_role("button", name="Send again")).to_have_count(0)


def test_a_program_that_only_loads_the_page_uses_nothing_up(open_page, customer):
    link = Link(customer)
    for _ in range(3):
        page = open_page(link.path)
        outside(page)
        page.reload()
        outside(page)
    page.wait_for_load_state("networkidle")
    assert link.redeemed() is None
    press(page)
    expect(page.get_by_role("heading", name="Endpoints")).to_be_visible()
    assert link.redeemed()


def test_back_reload_and_the_same_link_again_go_on(open_page, customer, receiver, api_url):
    customer.endpoint(receiver.url)
    link = Link(customer)
    page = enter(open_page, link)
    page.get_by_role("link", name=receiver.url).click()
    expect(page.get_by_role("heading", name=receiver.url)).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name=receiver.url)).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="Endpoints")).to_be_visible()
    page.goto(f"{api_url}/docs")
    page.go_back()
    expect(page.get_by_role("heading", name="Endpoints")).to_be_visible()
    page.goto(f"{api_url}/docs")
    page.goto(f"{api_url}{link.path}")
    expect(page.get_by_role("heading", name="Endpoints")).to_be_visible()
    assert link.code not in page.url


def test_two_links_in_one_tab_stay_apart(open_page, customer, receiver, api_url):
    customer.endpoint(receiver.url)
    first, second = Link(customer), Link(customer, read_only=True)
    page = enter(open_page, first)
    of_first = page.url
    page.goto(f"{api_url}{second.path}")
    press(page)
    expect(page.get_by_text("View only")).to_be_visible()
    page.goto(of_first)
    expect(page.get_by_role("button", name="New endpoint")).to_be_visible()
    page.go_back()
    expect(page.get_by_text("View only")).to_be_visible()
    # Signing out of one ends no other.
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_text("This page opens by a link")).to_be_visible()
    page.goto(of_first)
    expect(page.get_by_role("button", name="New endpoint")).to_be_visible()


def test_a_new_code_in_an_open_page_is_asked_for(open_page, customer):
    page = open_page(Link(customer).path)
    outside(page)
    other = Link(customer, read_only=True)
    page.evaluate("(hash) => { location.hash = hash; }", other.code)
    press(page)
    expect(page.get_by_text("View only")).to_be_visible()
    assert other.redeemed()


def refused(page, text):
    press(page)
    expect(page.get_by_role("alert")).to_contain_text(text)
    expect(page.get_by_role("navigation")).to_have_count(0)


def test_a_used_link_says_so(open_page, customer):
    link = Link(customer)
    enter(open_page, link)
    refused(open_page(link.path), "The link has been used")


def test_an_ended_link_and_a_damaged_one_say_so(open_page, customer):
    link = Link(customer)
    link.end()
    refused(open_page(link.path), "it has been ended; ask for another one")
    page = open_page(f"/portal#{link.code[:-1]}")
    expect(page.get_by_text("This page opens by a link")).to_be_visible()


def test_an_expired_link_says_so(open_page, customer):
    # The shortest time of a link is a minute, so the service's answer is played here; tests/it waits for an end.
    page = open_page(Link(customer).path)
    expired = {"statusCode": 401, "message": "The link has expired; ask for another one", "error": "Unauthorized"}
    page.route("**/auth/portal", lambda route: route.fulfill(status=401, json=expired))
    refused(page, "The link has expired")


def test_a_session_that_ends_says_so(open_page, customer):
    link = Link(customer)
    page = enter(open_page, link)
    link.end()
    deadline = time.monotonic() + PATIENCE_MS / 1_000
    while page.get_by_role("navigation").count() and time.monotonic() < deadline:
        page.evaluate("dispatchEvent(new HashChangeEvent('hashchange'))")
        page.wait_for_timeout(300)
    expect(page.get_by_role("alert")).to_contain_text("Your session has ended. Ask for another link.")
    assert page.evaluate("sessionStorage.length") == 0
    page.reload()
    expect(page.get_by_text("This page opens by a link")).to_be_visible()


def test_signing_out_ends_the_session_at_the_service(open_page, customer):
    link = Link(customer)
    page = enter(open_page, link)
    kept = json.loads(page.evaluate("sessionStorage.getItem(sessionStorage.key(0))"))
    with page.expect_response("**/auth/logout"):
        page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_text("This page opens by a link")).to_be_visible()
    assert page.evaluate("sessionStorage.length") == 0
    assert customer.call("GET", "/portal-links", status=200) == []
    deadline = time.monotonic() + 10
    while demo.call("GET", f"{customer.api_url}/v1/projects", None, authorization=f"Bearer {kept['access']}")[0] != 401:
        assert time.monotonic() < deadline
        time.sleep(0.3)


def test_a_lost_answer_costs_nothing(open_page, customer):
    link = Link(customer)
    page = open_page(link.path)

    def lose(route):
        route.fetch()
        route.fulfill(status=504, body="")

    page.route("**/auth/portal", lose, times=1)
    press(page)
    expect(page.get_by_role("alert")).to_contain_text("The service answered 504.")
    assert link.redeemed(), "the code was used"
    page.reload()
    press(page)
    expect(page.get_by_role("heading", name="Endpoints")).to_be_visible()


def test_the_portal_and_the_console_share_no_session(open_page, customer, api_url):
    link = Link(customer)
    page = enter(open_page, link)
    page.goto(f"{api_url}/console")
    expect(page.get_by_label("E-mail")).to_be_visible()
    page.goto(f"{api_url}/portal")
    outside(page)


@pytest.fixture
def embed(chrome, api_url):
    """Opens a page of another site that embeds these addresses of the service. The browser plays the site."""
    contexts, told = [], []

    def embed(*paths, site=SITE, script=None, **options):
        # A browser asks a person before a site on the network may load pages of this machine.
        context = chrome.new_context(permissions=["local-network-access"], **options)
        contexts.append(context)
        if script:
            context.add_init_script(f"if (window !== window.top) {{ {script} }}")
        frames = "".join(f'<iframe src="{api_url}{path}" width="49%" height="600"></iframe>' for path in paths)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: told.append(f"uncaught: {error}"))
        page.on("console", lambda line: told.append(line.text) if line.type == "error" and "status of" not in line.text else None)
        page.route(f"{site}/**", lambda route: route.fulfill(content_type="text/html", body=f"<!doctype html><h1>A shop</h1>{frames}"))
        page.goto(f"{site}/settings")
        return page, told

    yield embed
    for context in contexts:
        context.close()


def frame(page, index=0):
    return page.locator("iframe").nth(index).content_frame


@pytest.mark.parametrize("site", [SITE, SUBDOMAIN])
def test_another_origin_embeds_the_portal_where_the_setting_names_it(embed, customer, receiver, site):
    customer.endpoint(receiver.url)
    page, told = embed(Link(customer).path, site=site)
    press(frame(page))
    expect(frame(page).get_by_role("link", name=receiver.url)).to_be_visible()
    if site == SUBDOMAIN:
        # The site's page has the used code in it, and so has its reload.
        page.reload()
        expect(frame(page).get_by_role("link", name=receiver.url)).to_be_visible()
    assert told == []


def test_two_embedded_portals_stay_apart(embed, customer, receiver):
    customer.endpoint(receiver.url)
    page, told = embed(Link(customer).path, Link(customer, read_only=True).path, site=SUBDOMAIN)
    for index in (0, 1):
        press(frame(page, index))
        expect(frame(page, index).get_by_role("link", name=receiver.url)).to_be_visible()
    page.reload()
    expect(frame(page, 0).get_by_role("button", name="New endpoint")).to_be_visible()
    expect(frame(page, 1).get_by_text("View only")).to_have_count(1)
    assert told == []


def test_an_embedded_portal_works_without_storage(embed, customer, receiver):
    customer.endpoint(receiver.url)
    page, told = embed(Link(customer).path, script=NO_STORAGE)
    press(frame(page))
    frame(page).get_by_role("link", name=receiver.url).click()
    frame(page).get_by_role("button", name="Send test").click()
    frame(page).get_by_role("dialog").get_by_role("button", name="Send").click()
    expect(frame(page).locator("tbody tr")).to_have_count(1)
    # No page may embed the reference, so a link to it would end here, and with it the session.
    frame(page).get_by_role("link", name="Verify").click()
    expect(frame(page).get_by_text("Verify the raw body before you parse its JSON")).to_be_visible()
    expect(frame(page).locator("a[href^=docs]")).to_have_count(0)
    page.reload()
    refused(frame(page), "The link has been used")
    assert told == []


def test_no_other_site_embeds_the_portal_and_none_the_console(embed, customer):
    for path, site in ((Link(customer).path, "http://localhost:3001"), ("/console", SITE), ("/docs", SITE)):
        page, told = embed(path, site=site)
        page.wait_for_load_state("networkidle")
        deadline = time.monotonic() + PATIENCE_MS / 1_000
        while not any("frame-ancestors" in line for line in told):
            assert time.monotonic() < deadline, (path, site, told)
            page.wait_for_timeout(50)
        expect(frame(page).get_by_role("heading")).to_have_count(0)
        told.clear()
