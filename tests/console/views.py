"""A walk through the views of the console, for the tests that look at each of them."""

from playwright.sync_api import Page

from conftest import expect


def views(page: Page, customer, receiver):
    """Opens each view, one after another, and yields its name."""
    yield from _endpoints(page, receiver)
    yield from _endpoint(page)
    yield from _form(page)
    yield from _project(page)
    yield from _access(page, customer)


def _endpoints(page, receiver):
    yield "endpoints"
    page.get_by_role("link", name=receiver.url).click()
    # The list of endpoints has one row too.
    expect(page.get_by_role("heading", level=1, name=receiver.url)).to_be_visible()
    expect(page.locator("tbody tr")).to_have_count(1)
    yield "endpoint"
    page.locator("tbody a").click()
    expect(page.locator("ol.attempts > li")).to_have_count(4)
    yield "delivery"
    page.get_by_role("button", name="Raw", exact=True).click()
    yield "raw payload"
    page.get_by_role("button", name="Both", exact=True).click()
    page.locator("ol.attempts details summary").first.click()
    yield "both payloads and a request"
    page.get_by_role("button", name="Compare two").click()
    yield "a comparison"


def _endpoint(page):
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Deliveries of this endpoint").click()
    page.get_by_label("Time", exact=True).select_option("From … to …")
    expect(page.get_by_label("From")).to_be_visible()
    yield "filters"
    page.get_by_role("button", name="Replay", exact=True).click()
    expect(page.get_by_role("dialog").get_by_role("status")).to_contain_text("1 delivery matches")
    yield "a replay's form"
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Replays").click()
    expect(page.get_by_text("No replays yet")).to_be_visible()
    yield "replays"
    page.get_by_role("link", name="Verify").click()
    page.get_by_role("button", name="Reveal").click()
    yield "verify"
    page.get_by_role("button", name="Rotate secret").click()
    yield "a dialog"
    page.keyboard.press("Escape")


def _form(page):
    page.get_by_role("button", name="Edit").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Filter", exact=True).fill('{"event_name": ["call.ended"]}')
    dialog.get_by_text("Try the filter").click()
    dialog.get_by_role("button", name="Try on the latest 10 events").click()
    expect(dialog.get_by_text("Passes")).to_be_visible()
    for kind in ("OAuth 2.0 client credentials", "Client certificate (mTLS)"):
        if dialog.get_by_label("Authentication at the receiver").count():
            dialog.get_by_label("Authentication at the receiver").select_option(kind)
            yield f"an endpoint's form with {kind}"
    dialog.get_by_label("Filter", exact=True).fill("no JSON")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_role("alert")).to_be_visible()
    yield "a refused form"
    page.keyboard.press("Escape")


def _project(page):
    page.get_by_role("link", name="Deliveries").first.click()
    page.get_by_role("button", name="Live").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    yield "a project's deliveries"
    page.get_by_role("link", name="Failures by cause").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    yield "failures by cause"
    page.get_by_role("link", name="Events", exact=True).click()
    expect(page.locator("tbody tr")).to_have_count(1)
    yield "events"
    page.locator("tbody a").click()
    expect(page.get_by_role("region", name="Deliveries")).to_be_visible()
    yield "event"
    page.get_by_role("link", name="Events").first.click()
    page.get_by_role("link", name="Event types").click()
    expect(page.get_by_role("heading", name="Event types")).to_be_visible()
    yield "event types"
    page.get_by_role("button", name="New event type").click()
    yield "an event type's form"
    page.keyboard.press("Escape")


def _access(page, customer):
    page.get_by_role("link", name="Access").click()
    expect(page.get_by_role("heading", name="API keys")).to_be_visible()
    yield "keys"
    page.get_by_role("button", name="New key").click()
    yield "a key's form"
    page.keyboard.press("Escape")
    customer.call("POST", "/portal-links", {}, 201)
    page.get_by_role("link", name="Portal links").click()
    expect(page.locator("tbody tr").first).to_be_visible()
    yield "portal links"
    page.get_by_role("button", name="New link").click()
    yield "a link's form"
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Activity").click()
    expect(page.locator("tbody tr").first).to_be_visible()
    yield "activity"
    page.get_by_role("button", name="Account", exact=True).click()
    yield "the account"
    page.keyboard.press("Escape")
