"""The console by keyboard, on a phone and in dark mode."""

import re
import threading
import time

import pytest
from playwright.sync_api import Page

from conftest import PATIENCE_MS, expect, sign_in
from views import views


def focused(page: Page):
    return page.evaluate("document.activeElement.textContent.trim() || document.activeElement.id || document.activeElement.tagName")


def tab_to(page: Page, text):
    """Presses Tab until the element with this text has the focus, and checks that the focus is visible."""
    for _ in range(40):
        page.keyboard.press("Tab")
        if focused(page) == text:
            outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none", f"{text} has the focus, but the focus is not visible"
            return
    raise AssertionError(f"Tab does not lead to {text}")


def test_all_is_done_by_keyboard(open_page, customer, receiver):
    page = open_page()
    # The page first asks the browser's other tabs for a session.
    expect(page.get_by_label("E-mail")).to_be_focused()
    page.keyboard.type(customer.email)
    page.keyboard.press("Tab")
    page.keyboard.type(customer.password)
    page.keyboard.press("Enter")
    expect(page.get_by_text("No endpoints yet")).to_be_visible()

    page.keyboard.press("Tab")
    assert focused(page) == "Skip to content"
    page.keyboard.press("Enter")
    tab_to(page, "Create the first endpoint")
    page.keyboard.press("Enter")
    expect(page.get_by_label("URL")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert focused(page) == "Create the first endpoint"
    page.keyboard.press("Enter")
    page.keyboard.type(receiver.url)
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(page.get_by_label("call.ended")).to_be_checked()
    page.keyboard.press("Enter")
    heading = page.get_by_role("heading", name=receiver.url)
    expect(heading).to_be_focused()

    tab_to(page, "Disable")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    tab_to(page, "Disable")
    page.keyboard.press("Enter")
    expect(page.get_by_text("This endpoint was disabled manually")).to_be_visible()


def test_a_filter_is_tried_and_deliveries_are_followed_by_keyboard(signed_in, customer, receiver):
    endpoint = customer.endpoint(receiver.url)
    customer.emit()
    customer.settled(endpoint, 1)
    page = signed_in()
    page.evaluate("address => (location.hash = address)", f"#/projects/{customer.project_id}/endpoints/{endpoint['id']}")
    expect(page.get_by_role("heading", name=receiver.url)).to_be_focused()
    tab_to(page, "Edit")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    tab_to(page, "Add prefix")
    page.keyboard.press("Tab")
    expect(page.get_by_role("textbox", name="Filter", exact=True)).to_be_focused()
    page.keyboard.type('{"event_name": ["call.ended"]}')
    tab_to(page, "Try the filter")
    page.keyboard.press("Enter")
    tab_to(page, "Try on the latest 10 events")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog").get_by_text("Passes")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert focused(page) == "Edit"

    page.reload()
    expect(page.get_by_role("heading", name=receiver.url)).to_be_visible()
    tab_to(page, "Deliveries")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Deliveries", exact=True)).to_be_focused()
    tab_to(page, "Live")
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Live")).to_have_attribute("aria-pressed", "true")
    page.reload()
    expect(page.get_by_role("heading", name="Deliveries", exact=True)).to_be_visible()
    tab_to(page, "Failures by cause")
    page.keyboard.press("Enter")
    expect(page.get_by_text("No failures")).to_be_visible()


def test_nothing_is_wider_than_a_phone(signed_in, customer, receiver):
    receiver.answer = (500, b"x" * 500)
    receiver.url += "/a-path-that-goes-on-and-on-without-any-place-to-break-it"
    endpoint = customer.endpoint(receiver.url)
    customer.emit("call.ended", {"text": "y" * 2_000})
    customer.settled(endpoint, 1)
    page = signed_in(viewport={"width": 360, "height": 740})
    for view in views(page, customer, receiver):
        width = page.evaluate(
            "Math.max(document.documentElement.scrollWidth, ...[...document.querySelectorAll('dialog')].map((each) => each.scrollWidth))"
        )
        assert width <= 360, f"{view} is {width} wide"


@pytest.mark.parametrize("width", [1280, 700, 360])
def test_late_content_moves_no_control(signed_in, customer, receiver, width):
    first = customer.endpoint(receiver.url)
    second = customer.endpoint(f"{receiver.url}/second")
    customer.emit()
    customer.settled(first, 1), customer.counted(second, 1)
    page = signed_in(viewport={"width": width, "height": 900})
    held = []

    # Playwright takes no built-in function here.
    def hold(route):
        held.append(route)

    late = re.compile("/v1/.*/(deliveries|stats)")
    page.route(late, hold)

    page.evaluate("address => (location.hash = address)", f"#/projects/{customer.project_id}/endpoints/{second['id']}?tab=verify")
    control = page.get_by_role("button", name="Copy the signing secret")
    expect(control).to_be_visible()
    deadline = time.monotonic() + PATIENCE_MS / 1_000
    while len(held) < 2 and time.monotonic() < deadline:
        page.wait_for_timeout(20)
    assert len(held) == 2
    before = control.bounding_box()
    while held:
        with page.expect_response(late):
            held.pop().continue_()
    expect(page.locator("main .bone")).to_have_count(0)
    expect(page.locator("main [aria-busy]")).to_have_count(0)
    assert control.bounding_box() == before


@pytest.fixture
def held(customer, receiver):
    """Emits an event whose delivery stays unfinished until the test ends, so that the console keeps reading the list."""
    is_over = threading.Event()

    def hold():
        receiver.answer = lambda _: (is_over.wait(PATIENCE_MS / 1_000), (200, b"late"))[1]
        customer.emit()

    yield hold
    is_over.set()


def press_while_read_again(page, target):
    target.hover()
    page.mouse.down()
    for _ in range(2):
        with page.expect_response(re.compile("/deliveries.*limit=25")):
            pass
    page.mouse.up()


def test_a_press_outlives_the_rows_being_read_again(signed_in, customer, receiver, held):
    endpoint = customer.endpoint(receiver.url)
    customer.emit()
    [settled] = customer.settled(endpoint, 1)
    held()
    page = signed_in()
    page.get_by_role("link", name=receiver.url).click()
    press_while_read_again(page, page.locator(f"a[href$='{settled['id']}']"))
    expect(page.get_by_role("region", name="About this delivery")).to_contain_text(settled["id"])


def test_a_press_for_older_rows_outlives_them_being_read_again(signed_in, customer, receiver, held):
    endpoint = customer.endpoint(receiver.url)
    for _ in range(25):
        customer.emit()
    customer.settled(endpoint, 25)
    held()
    page = signed_in()
    page.get_by_role("link", name=receiver.url).click()
    press_while_read_again(page, page.get_by_role("button", name="Show older"))
    expect(page.locator("table.list tbody tr")).to_have_count(26)


# Texts whose contrast with the background is below the limit of WCAG.
CONTRASTS = """() => {
  const channel = (value) => (value /= 255) <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return canvas.getImageData(0, 0, 1, 1).data;
  };
  const behind = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const colour = rgba(getComputedStyle(each).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255];
  };
  const low = [];
  for (const element of document.querySelectorAll("main *, header *")) {
    const says = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!says || element.closest("svg, .faded, .visually-hidden, [disabled]") || !element.checkVisibility()) continue;
    const pair = [rgba(getComputedStyle(element).color), behind(element)].map(luminance).sort((a, b) => b - a);
    const ratio = (pair[0] + 0.05) / (pair[1] + 0.05);
    if (ratio < 4.5) low.push(`${element.textContent.trim().slice(0, 40)}: ${ratio.toFixed(2)}`);
  }
  return [...new Set(low)];
}"""


def test_light_and_dark_are_both_legible(open_page, customer, receiver):
    receiver.answer = (500, b"out of order")
    endpoint = customer.endpoint(receiver.url)
    customer.emit()
    customer.settled(endpoint, 1)
    backgrounds = {}
    for scheme in ("light", "dark"):
        page = open_page(color_scheme=scheme)
        sign_in(page, customer)
        expect(page.get_by_role("heading", name="Endpoints")).to_be_visible()
        backgrounds[scheme] = page.evaluate("getComputedStyle(document.body).backgroundColor")
        for view in views(page, customer, receiver):
            assert page.evaluate(CONTRASTS) == [], f"{view}, {scheme}"
    assert backgrounds["light"] != backgrounds["dark"]
