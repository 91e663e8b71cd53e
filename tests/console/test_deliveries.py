"""The deliveries of an endpoint: the list, the attempts with their responses, and sending again."""

import hashlib
import hmac
import json
import subprocess
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import playwright

from conftest import expect

EXACT = '{"cost": 1.10, "big": 123456789012345678901234567890, "text": "\\u00e9 \\"quoted\\" }, <b>", "none": {}, "list": [1, [ ]]}'


def test_deliveries_are_listed_filtered_and_paged(signed_in, customer, receiver):
    endpoint = customer.endpoint(receiver.url)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: customer.emit("call.summary"), range(26)))
    customer.settled(endpoint, 26)
    receiver.answer = (500, b"out of order")
    customer.emit("call.ended")
    page = signed_in()
    row = page.get_by_role("row", name=receiver.url)
    expect(row.get_by_role("img", name="Latest 24 deliveries")).to_be_visible()
    page.get_by_role("link", name=receiver.url).click()
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(25)
    # The row updates through the retries to the end, without a reload.
    expect(rows.first).to_contain_text("Failed")
    expect(rows.first).to_contain_text("all attempts failed")
    page.get_by_role("button", name="Show older").click()
    expect(rows).to_have_count(27)
    expect(page.get_by_role("button", name="Show older")).to_have_count(0)

    page.get_by_label("Status", exact=True).select_option("Failed")
    expect(rows).to_have_count(1)
    page.get_by_label("Event", exact=True).select_option("call.summary")
    expect(page.get_by_text("Nothing matches")).to_be_visible()
    page.go_back()
    expect(rows).to_have_count(1)
    page.get_by_role("link", name="Clear", exact=True).click()
    expect(rows).to_have_count(25)
    page.get_by_label("From").fill("2199-01-01T00:00")
    page.get_by_label("From").blur()
    expect(page.get_by_text("Nothing matches")).to_be_visible()


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
    assert page.locator("main img, main script").count() == 0
    assert "owned" not in page.title()
    expect(page.get_by_role("img", name="4 attempts; each is listed below")).to_be_visible()

    code = page.locator("pre").last
    expect(code).to_contain_text('"cost": 1.10,\n')
    expect(code).to_contain_text('"big": 123456789012345678901234567890,\n')
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
