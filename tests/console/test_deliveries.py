"""The deliveries of an endpoint: the list, the attempts with their responses, and sending again."""

import hashlib
import hmac
import json
import subprocess
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import playwright

from conftest import expect

EXACT = '{"cost": 1.10, "big": 123456789012345678901234567890, "text": "\\u00e9 \\"quoted\\" }, <b>", "none": {}, "list": [1, [ ]]}'

# Where the first and the last of the four letters after a mark stand.
FIRST_AND_LAST = """mark => [0, 3].map((at) => {
  const range = document.createRange();
  range.setStart(mark.nextSibling, at);
  range.setEnd(mark.nextSibling, at + 1);
  return range.getBoundingClientRect().left;
})"""


def test_deliveries_are_listed_filtered_and_paged(signed_in, customer, receiver):
    endpoint = customer.endpoint(receiver.url)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: customer.emit("call.summary"), range(26)))
    customer.settled(endpoint, 26)
    receiver.answer = (500, b"out of order")
    customer.emit("call.ended")
    page = signed_in()
    row = page.get_by_role("row", name=receiver.url)
    expect(row.get_by_role("img", name="Last 24 hours")).to_be_visible()
    page.get_by_role("link", name=receiver.url).click()
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(25)
    # The row updates through the retries to the end, without a reload.
    expect(rows.first).to_contain_text("Failed")
    expect(rows.first).to_contain_text("HTTP 500")
    page.get_by_role("button", name="Show older").click()
    expect(rows).to_have_count(27)
    expect(page.get_by_role("button", name="Show older")).to_have_count(0)

    page.get_by_label("Status", exact=True).select_option("Failed")
    expect(rows).to_have_count(1)
    page.get_by_label("Event", exact=True).select_option("call.summary")
    expect(page.get_by_text("Nothing matches")).to_be_visible()
    page.go_back()
    expect(rows).to_have_count(1)
    page.get_by_role("button", name="Clear", exact=True).click()
    expect(rows).to_have_count(25)
    page.get_by_label("Time", exact=True).select_option("From … to …")
    page.get_by_label("From").fill("2199-01-01T00:00")
    page.get_by_label("From").blur()
    expect(page.get_by_text("Nothing matches")).to_be_visible()
    page.get_by_label("To", exact=True).fill("2198-01-01T00:00")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("From must be earlier than To.")
    page.get_by_role("button", name="Clear the filters").click()
    expect(rows).to_have_count(25)
    expect(page.get_by_role("alert")).to_have_count(0)


def test_filters_work_by_keyboard_and_stay_in_the_address(signed_in, customer, receiver):
    endpoint = customer.endpoint(receiver.url)
    customer.emit("call.ended"), customer.emit("call.summary")
    customer.settled(endpoint, 2)
    page = signed_in()
    page.get_by_role("link", name=receiver.url).click()
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(2)
    event = page.get_by_label("Event", exact=True)
    event.focus()
    # Each press chooses the next name, and the view stays as it is.
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(rows).to_have_count(1)
    expect(event).to_be_focused()
    expect(event).to_have_value("call.ended")
    assert page.url.endswith("?event_name=call.ended")
    page.get_by_label("Time", exact=True).select_option("Last 15 minutes")
    page.wait_for_url("**last=15m*")
    expect(rows).to_have_count(1)
    page.reload()
    expect(rows).to_have_count(1)
    expect(page.get_by_label("Time", exact=True)).to_have_value("15m")
    page.go_back()
    expect(page.get_by_label("Time", exact=True)).to_have_value("")
    expect(event).to_have_value("call.ended")
    # The first digit of a month is not yet the month.
    page.get_by_label("Time", exact=True).select_option("From … to …")
    page.get_by_label("From").fill("2026-11-05T10:00")
    page.get_by_label("From").blur()
    page.wait_for_url("**since=2026-11-05*")
    page.get_by_label("From").focus()
    page.keyboard.type("1")
    page.wait_for_timeout(600)
    assert "since=2026-11-05" in page.url


def test_back_leads_to_the_place_that_was_left(signed_in, customer, receiver):
    endpoint = customer.endpoint(receiver.url)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: customer.emit(), range(30)))
    deadline = time.monotonic() + 20
    while customer.call("GET", f"/webhooks/{endpoint['id']}/deliveries?status=pending", status=200)["data"]:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    page = signed_in(viewport={"width": 1280, "height": 700})
    page.get_by_role("link", name=receiver.url).click()
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(25)
    page.get_by_role("button", name="Show older").click()
    expect(rows).to_have_count(30)
    last = rows.last.get_by_role("link")
    last.scroll_into_view_if_needed()
    last.click()
    expect(page.get_by_role("heading", name="Attempts")).to_be_visible()
    assert page.evaluate("scrollY") == 0
    page.go_back()
    expect(rows).to_have_count(30)
    expect(last).to_be_in_viewport()


def test_a_failed_delivery_is_looked_into_and_sent_again(signed_in, customer, receiver):
    receiver.answer = (503, b"<img src=x onerror=document.title='owned'><script>document.title='owned'</script>")
    endpoint = customer.endpoint(receiver.url)
    body = f'{{"event_name": "call.ended", "data": {EXACT}}}'.encode()
    post(customer, body)
    customer.settled(endpoint, 1)
    page = signed_in()
    page.get_by_role("link", name=receiver.url).click()
    page.get_by_role("link", name="call.ended").click()
    attempts = page.locator("ol.attempts > li")
    expect(attempts).to_have_count(4)
    expect(attempts.first).to_contain_text("HTTP 503")
    # The response is shown as text, even if it contains markup.
    expect(attempts.first).to_contain_text("<script>document.title='owned'</script>")
    # Equal answers are shown once.
    expect(attempts.nth(1)).to_contain_text("The same answer as to attempt 4.")
    expect(attempts.locator("pre")).to_have_count(1)
    about = page.get_by_role("region", name="About this delivery")
    expect(about.get_by_role("link", name=receiver.url)).to_be_visible()
    expect(about).to_contain_text("HTTP 503")
    attempts.first.get_by_text("Request", exact=True).click()
    expect(attempts.first).to_contain_text(f"POST {receiver.url}")
    expect(attempts.first).to_contain_text(receiver.requests[3][0]["x-echo-delivery"])
    expect(attempts.first.locator("dd").nth(2)).to_have_text(receiver.requests[3][0]["webhook-timestamp"])
    assert page.locator("main img, main script").count() == 0
    assert "owned" not in page.title()
    expect(page.get_by_role("img", name="4 attempts; each is listed below")).to_be_visible()

    tree = page.get_by_role("group", name="Payload, formatted")
    expect(tree).to_contain_text('"cost": 1.10,')
    expect(tree).to_contain_text('"big": 123456789012345678901234567890,')
    expect(tree.get_by_text('"cost": 1.10,')).to_be_visible()
    tree.locator("summary").nth(1).click()
    expect(tree.get_by_text('"cost": 1.10,')).to_be_hidden()
    expect(tree).to_contain_text("5 fields }")
    code = page.locator("pre[aria-label^=Payload]")
    page.get_by_role("button", name="Raw", exact=True).click()
    expect(page.get_by_role("button", name="Raw", exact=True)).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("button", name="Formatted")).to_have_attribute("aria-pressed", "false")
    sent = receiver.requests[0][1].decode()
    assert EXACT in sent
    assert code.text_content() == sent
    page.get_by_role("button", name="Copy the raw payload").click()
    expect(page.get_by_text("Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == sent

    receiver.answer = (200, b"")
    page.get_by_role("button", name="Retry now").click()
    expect(page.get_by_role("button", name="Send again")).to_be_visible()
    expect(attempts).to_have_count(5)
    expect(attempts.first).to_contain_text("manual")
    expect(attempts.first).to_contain_text("The response had no body.")


def test_two_attempts_are_compared(signed_in, customer, receiver):
    receiver.answer = (503, b"a\nb\nc")
    endpoint = customer.endpoint(receiver.url)
    customer.emit()
    [delivery] = customer.settled(endpoint, 1)
    receiver.answer = (200, b"a\nc")
    customer.retry(endpoint, delivery)
    page = signed_in()
    page.get_by_role("link", name=receiver.url).click()
    page.get_by_role("link", name="call.ended").click()
    expect(page.locator("ol.attempts > li")).to_have_count(5)
    page.get_by_role("button", name="Compare two").click()
    compared = page.get_by_role("dialog")
    expect(compared.get_by_role("columnheader")).to_have_text(["Part", "Attempt 4", "Attempt 5"])
    expect(compared.locator("tr.differs", has_text="Status")).to_contain_text("HTTP 503HTTP 200")
    expect(compared.locator("mark")).to_have_text(["b"])
    page.get_by_label("The other attempt").select_option("Attempt 1")
    expect(compared.locator("tr.differs", has_text="Status")).to_have_count(0)
    expect(compared.locator("mark")).to_have_count(0)


def test_an_attempt_tells_its_url_its_redirect_and_whether_its_answer_was_cut(signed_in, customer, receiver):
    receiver.headers = {"location": "https://example.com/moved?to=here"}
    receiver.answer = (302, b"Traceback\n" + b"x" * 2_000)
    endpoint = customer.endpoint(receiver.url)
    customer.emit()
    customer.settled(endpoint, 1)
    customer.call("PATCH", f"/webhooks/{endpoint['id']}", {"url": f"{receiver.url}/moved"}, 200)
    page = signed_in()
    page.get_by_role("link", name=receiver.url).click()
    expect(page.locator("tbody tr")).to_contain_text("HTTP 302")
    page.get_by_role("link", name="call.ended").click()
    attempt = page.locator("ol.attempts > li").first
    expect(attempt).to_contain_text("Redirected to https://example.com/moved?to=here. The service follows no redirect.")
    expect(attempt).to_contain_text("The answer goes on. The service keeps its first 1 KiB.")
    expect(attempt).to_contain_text(f"Sent to the endpoint's URL of that time: {receiver.url}")


def test_hidden_and_turning_characters_are_shown_and_confined(signed_in, customer, receiver):
    receiver.answer = (500, "safe \u202elive\u202c\u200b\x07 end".encode())
    endpoint = customer.endpoint(receiver.url)
    customer.call("PATCH", f"/webhooks/{endpoint['id']}", {"description": "ab\u202ecd"}, 200)
    customer.emit(data={"note": "\u202edesrever"})
    customer.settled(endpoint, 1)
    page = signed_in()
    codes = page.get_by_role("row", name=receiver.url).locator(".hidden-char")
    expect(codes).to_have_attribute("data-code", "U+202E")
    page.get_by_role("link", name=receiver.url).click()
    page.get_by_role("link", name="call.ended").click()
    answer = page.locator("ol.attempts pre")
    expect(answer.locator(".hidden-char")).to_have_count(4)
    shown = answer.locator(".hidden-char").evaluate_all("all => all.map((each) => each.dataset.code)")
    assert shown == ["U+202E", "U+202C", "U+200B", "U+0007"]
    assert answer.text_content() == "safe \u202elive\u202c\u200b\x07 end"
    # The letters after the mark stand in their own order.
    left, right = answer.locator(".hidden-char").first.evaluate(FIRST_AND_LAST)
    assert left < right


def test_an_id_is_found_from_every_view(signed_in, customer, receiver):
    customer.endpoint(f"{receiver.url}/other", ["call.started"])
    endpoint = customer.endpoint(receiver.url)
    event = customer.emit()
    delivery = event["deliveries"][0]["id"]
    customer.settled(endpoint, 1)
    page = signed_in()
    find = page.get_by_label("Find an event, a delivery or an endpoint by its id")
    find.fill(f" x-echo-delivery: {delivery} ")
    find.press("Enter")
    expect(page.get_by_role("region", name="About this delivery")).to_contain_text(delivery)
    find.fill(event["event_id"])
    find.press("Enter")
    page.wait_for_url(f"**/events/{event['event_id']}")
    expect(page.get_by_role("heading", name="call.ended")).to_be_visible()
    find.fill(endpoint["id"])
    find.press("Enter")
    expect(page.get_by_role("heading", name=receiver.url)).to_be_visible()
    find.fill(customer.project_id)
    find.press("Enter")
    expect(page.get_by_text("This project has no event, delivery or endpoint")).to_be_visible()
    find.fill("call_1")
    find.press("Enter")
    expect(page.get_by_text("Enter a whole id")).to_be_visible()


def test_a_retry_that_is_refused_says_why(signed_in, customer, receiver):
    endpoint = customer.endpoint(receiver.url)
    customer.emit()
    customer.settled(endpoint, 1)
    page = signed_in()
    page.get_by_role("link", name=receiver.url).click()
    page.get_by_role("link", name="call.ended").click()
    expect(page.get_by_role("button", name="Send again")).to_be_visible()
    customer.call("PATCH", f"/webhooks/{endpoint['id']}", {"status": "disabled"}, 200)
    page.get_by_role("button", name="Send again").click()
    expect(page.get_by_role("alert")).to_contain_text("The webhook endpoint is disabled")


def test_an_endpoint_that_was_disabled_for_its_failures_says_so(signed_in, customer, receiver):
    receiver.answer = (410, b"")
    endpoint = customer.endpoint(receiver.url)
    customer.emit()
    customer.settled(endpoint, 1)
    page = signed_in()
    expect(page.get_by_role("row", name=receiver.url)).to_contain_text("Disabled")
    page.get_by_role("link", name=receiver.url).click()
    expect(page.get_by_text("its receiver answered 410 Gone")).to_be_visible()
    expect(page.locator("tbody tr")).to_contain_text("the receiver answered 410 Gone")


def test_the_verification_code_verifies_a_delivery(signed_in, customer, receiver, tmp_path):
    endpoint = customer.endpoint(receiver.url)
    customer.emit(data={"text": "é"})
    customer.settled(endpoint, 1)
    headers, body = receiver.requests[0]
    signature = headers["x-echo-signature"]
    assert signature == hmac.new(endpoint["signing_secret"].encode(), body, hashlib.sha256).hexdigest()
    page = signed_in()
    page.get_by_role("link", name=receiver.url).click()
    page.get_by_role("link", name="Verify").click()

    def code(language):
        page.get_by_role("button", name=language).click()
        page.get_by_role("button", name="Copy the code, with the secret in it").click()
        expect(page.get_by_text("Copied, with the secret in it").last).to_be_visible()
        return page.evaluate("navigator.clipboard.readText()")

    names = {}
    exec(code("Python"), names)
    assert names["is_genuine"](body, {"x-echo-signature": signature})
    assert not names["is_genuine"](body + b" ", {"x-echo-signature": signature})
    assert not names["is_genuine"](body, {})

    (tmp_path / "verify.mjs").write_text(code("Node"))
    # The same code gets through a rotation: it still has the secret before.
    customer.call("POST", f"/webhooks/{endpoint['id']}/secret/rotate", status=200)
    customer.emit(data={"text": "é"})
    customer.settled(endpoint, 2)
    rotated, after = receiver.requests[1]
    sent = {name: rotated[name] for name in ("x-echo-signature", "x-echo-signature-previous")}
    assert names["is_genuine"](after, sent)
    assert not names["is_genuine"](after + b" ", sent)
    assert not names["is_genuine"](after, {"x-echo-signature": sent["x-echo-signature"]})

    only = {"x-echo-signature": signature}
    cases = json.dumps([[body.decode(), only], [body.decode() + " ", only], [body.decode(), {}], [after.decode(), sent]])
    script = f"""import {{ isGenuine }} from '{tmp_path}/verify.mjs';
        const isTaken = ([text, headers]) => isGenuine(Buffer.from(text), headers);
        console.log({cases}.map(isTaken).join())"""
    node = Path(playwright.__file__).parent / "driver/node"
    told = subprocess.run([node, "--input-type=module", "-e", script], capture_output=True, text=True, check=True, timeout=30)
    assert told.stdout.strip() == "true,false,false,true"


def post(customer, body):
    """Posts an event with exactly these bytes."""
    headers = {"x-api-key": customer.api_key, "content-type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(f"{customer.path}/events", body, headers), timeout=30) as answer:
        assert answer.status == 202
