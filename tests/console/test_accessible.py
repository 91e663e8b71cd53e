"""axe finds nothing on any page, in the light and in the dark, in three widths and enlarged to 200 %."""

import pytest
from axe_playwright_python.sync_playwright import Axe

from conftest import expect, sign_in
from views import views

AXE = Axe()
# A browser that enlarges a page to 200 % gives it half the width, at twice the density.
SIZES = {"1280": (1280, 1), "768": (768, 1), "390": (390, 1), "200 %": (640, 2)}


def options(size, scheme):
    width, density = SIZES[size]
    return {"viewport": {"width": width, "height": 900}, "device_scale_factor": density, "color_scheme": scheme, "reduced_motion": "reduce"}


def check(page, view):
    found = [
        f"{view}: {rule['id']} ({rule['help']}) at {node['target']}: {node['html'][:200]}"
        for rule in AXE.run(page).response["violations"]
        for node in rule["nodes"]
    ]
    assert found == [], "\n".join(found)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_axe_finds_nothing_in_the_console(open_page, customer, receiver, size, scheme):
    receiver.answer = (500, b"out of order")
    endpoint = customer.endpoint(receiver.url)
    customer.call("PATCH", f"/webhooks/{endpoint['id']}", {"ordered": "endpoint"}, 200)
    customer.emit()
    customer.settled(endpoint, 1)
    page = open_page(**options(size, scheme))
    expect(page.get_by_label("E-mail")).to_be_focused()
    check(page, "sign in")
    page.get_by_role("button", name="Sign up").click()
    check(page, "sign up")
    page.get_by_role("button", name="Account", exact=True).click()
    sign_in(page, customer)
    expect(page.get_by_role("link", name=receiver.url)).to_be_visible()
    expect(page.locator("main .bone")).to_have_count(0)
    for view in views(page, customer, receiver):
        check(page, view)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_the_portal(open_page, customer, receiver, scheme):
    customer.endpoint(receiver.url)
    code = customer.call("POST", "/portal-links", {}, 201)["url"].split("#")[1]
    page = open_page(f"/portal#{code}", **options("390", scheme))
    check(page, "the portal, before it is opened")
    page.get_by_role("button", name="Open", exact=True).click()
    expect(page.get_by_role("link", name=receiver.url)).to_be_visible()
    expect(page.locator("main .bone")).to_have_count(0)
    check(page, "the portal")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", ["1280", "390"])
def test_axe_finds_nothing_in_the_reference(open_page, size, scheme):
    page = open_page("/docs", **options(size, scheme))
    section = page.locator("#createEvent")
    section.get_by_text("Try it").click()
    section.get_by_role("button", name="Send POST").click()
    expect(section.get_by_role("status")).to_contain_text("Type your key")
    check(page, "the reference")
