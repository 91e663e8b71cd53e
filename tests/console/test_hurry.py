"""What a person in a hurry does before an answer has come, and what the page makes of an answer that fails."""

import re
import threading

import demo
from conftest import expect, until
from test_activity import at_activity


def hold(page, pattern, method):
    """Holds the requests of this method to matching addresses until the returned event is set."""
    release = threading.Event()
    held = []

    def route(asked):
        if asked.request.method == method and not release.is_set():
            held.append(asked)
        else:
            asked.continue_()

    page.route(pattern, route)

    def let_go():
        release.set()
        for asked in held:
            asked.continue_()

    return held, let_go


def wait_for(page, held):
    while not held:
        page.wait_for_timeout(50)


def test_a_key_is_shown_although_the_person_pressed_escape_while_it_was_made(signed_in):
    page = signed_in()
    page.get_by_role("link", name="Access").click()
    page.get_by_role("button", name="New key").click()
    page.get_by_role("dialog").get_by_label("Name").fill("Backend")
    held, let_go = hold(page, re.compile("/v1/api-keys"), "POST")
    page.get_by_role("button", name="Create key").click()
    wait_for(page, held)
    for _ in range(3):
        page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Cancel")).to_be_disabled()
    let_go()
    expect(page.get_by_role("dialog").get_by_text(re.compile("^echo_[0-9a-f]{64}$"))).to_be_visible()


def test_a_dialog_names_its_endpoint_and_closes_with_its_page(signed_in, customer, receiver):
    for path in ("first", "second"):
        customer.endpoint(f"{receiver.url}/{path}")
    page = signed_in()
    for path in ("first", "second"):
        page.get_by_role("link", name="Endpoints").first.click()
        page.get_by_role("link", name=f"{receiver.url}/{path}").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text(path)
    page.get_by_role("button", name="Disable").click()
    expect(page.get_by_role("dialog")).to_contain_text(f"{receiver.url}/second")
    page.go_back()
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_older_rows_that_are_asked_for_twice_are_shown_once(signed_in, customer, receiver):
    endpoint = customer.endpoint(receiver.url)
    for number in range(28):
        customer.call("PATCH", f"/webhooks/{endpoint['id']}", {"description": str(number)}, 200)
    page = signed_in()
    at_activity(page)
    expect(page.locator("tbody tr")).to_have_count(25)
    held, let_go = hold(page, re.compile("cursor="), "GET")
    page.get_by_role("button", name="Show older").dblclick()
    wait_for(page, held)
    let_go()
    expect(page.locator("tbody tr")).to_have_count(30)
    page.wait_for_load_state("networkidle")
    expect(page.locator("tbody tr")).to_have_count(30)


def test_a_project_that_was_made_meanwhile_is_the_persons_own(signed_in, customer):
    page = signed_in()
    login = {"email": customer.email, "password": customer.password}
    access = demo.expect(200, demo.call("POST", f"{customer.api_url}/auth/login", login), "log in")["access_token"]
    made = demo.call("POST", f"{customer.api_url}/v1/projects", {"name": "A second"}, authorization=f"Bearer {access}")
    project = demo.expect(201, made, "make a project")["id"]
    page.evaluate(f"location.hash = '#/projects/{project}/endpoints'")
    expect(page.get_by_role("heading", name="Endpoints")).to_be_visible()
    expect(page.get_by_label("Project", exact=True)).to_have_value(project)


def test_the_page_of_an_event_goes_on_after_an_answer_that_failed(signed_in, customer, receiver):
    receiver.answer = (500, b"")
    customer.endpoint(receiver.url)
    event = customer.emit()
    page = signed_in()
    lost = []

    def lose_one(asked):
        if len(lost) < 1 and page.get_by_role("heading", name="call.ended").count():
            lost.append(asked.request.url)
            return asked.fulfill(status=500, json={"message": "A fault of the service"})
        return asked.continue_()

    page.goto(f"{customer.api_url}/console#/projects/{customer.project_id}/events/{event['event_id']}")
    expect(page.get_by_role("heading", name="call.ended")).to_be_visible()
    page.route(re.compile(f"/events/{event['event_id']}"), lose_one)
    receiver.answer = (200, b"")
    until(page, "document.querySelector('main')?.textContent.includes('Delivered')")
    assert lost
