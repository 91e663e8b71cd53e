"""Signing in, sessions that end, and busy answers."""

import json

from playwright.sync_api import Page

import demo
from conftest import expect, sign_in, until

# The name of the tab's entry has the base path of this console, so that another one on the same host has an entry of its own.
SESSION = "Object.keys(sessionStorage).find((name) => name === 'echo-console ' + new URL('.', location).pathname)"
SIGN_IN = "You stay signed in until you sign out or close the last tab of this console."


def change_session(page: Page, **changes):
    page.evaluate(
        f"""(changes) => sessionStorage.setItem({SESSION},
            JSON.stringify({{ ...JSON.parse(sessionStorage.getItem({SESSION})), ...changes }}))""",
        changes,
    )
    page.reload()


def test_an_account_signs_in_and_out_again(signed_in, customer):
    page = signed_in()
    expect(page.get_by_text(customer.email)).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Endpoints")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_text(SIGN_IN)).to_be_visible()
    assert page.evaluate("sessionStorage.length") == 0
    page.go_back()
    expect(page.get_by_text(SIGN_IN)).to_be_visible()


def kept(page: Page):
    return json.loads(page.evaluate(f"sessionStorage.getItem({SESSION})"))


def refreshes(api_url, session):
    return demo.call("POST", f"{api_url}/auth/refresh", None, authorization=f"Bearer {session['refresh']}")[0]


def another_session(api_url, customer):
    login = demo.call("POST", f"{api_url}/auth/login", {"email": customer.email, "password": customer.password})[1]
    return {"refresh": login["refresh_token"]}


def test_signing_out_ends_the_session_and_no_other(signed_in, customer, api_url):
    other = another_session(api_url, customer)
    page = signed_in()
    session = kept(page)
    with page.expect_response("**/auth/logout"):
        page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_text(SIGN_IN)).to_be_visible()
    assert refreshes(api_url, session) == 401
    assert refreshes(api_url, other) == 201


def test_signing_out_everywhere_ends_all_sessions(signed_in, customer, api_url):
    other = another_session(api_url, customer)
    page = signed_in()
    session = kept(page)
    page.get_by_role("button", name="Account").click()
    page.get_by_role("button", name="Sign out everywhere").click()
    page.get_by_role("dialog").get_by_role("button", name="Sign out everywhere").click()
    expect(page.get_by_text(SIGN_IN)).to_be_visible()
    assert [refreshes(api_url, session), refreshes(api_url, other)] == [401, 401]
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_new_password_ends_the_other_sessions(signed_in, customer, api_url):
    other = another_session(api_url, customer)
    page = signed_in()
    page.get_by_role("button", name="Account").click()
    page.get_by_role("button", name="Change password").click()
    page.get_by_label("Current password").fill("not the password")
    page.get_by_label("New password").fill("staple of another horse")
    page.get_by_role("button", name="Change password").click()
    expect(page.get_by_role("alert")).to_contain_text("The current password must be the account's present password")
    page.get_by_label("Current password").fill(customer.password)
    page.get_by_role("button", name="Change password").click()
    expect(page.get_by_text("Password changed")).to_be_visible()
    assert refreshes(api_url, other) == 401
    page.reload()
    expect(page.get_by_role("heading", name="Endpoints")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    sign_in(page, customer, password="staple of another horse")
    expect(page.get_by_role("heading", name="Endpoints")).to_be_visible()


def test_a_link_in_a_new_tab_keeps_the_session_and_its_end_ends_both(signed_in, customer, receiver, api_url):
    endpoint = customer.endpoint(receiver.url)
    page = signed_in()
    page.get_by_role("link", name=receiver.url).click()
    expect(page.get_by_role("heading", name=receiver.url)).to_be_visible()
    other = page.context.new_page()
    other.goto(page.url)
    expect(other.get_by_role("heading", name=receiver.url)).to_be_visible()
    assert endpoint["id"] in other.url

    # Both tabs find their access token out of date: one refreshes, and the other takes its tokens.
    before = kept(page)
    for tab in (page, other):
        change_session(tab, access="e.x.p")
    for tab in (page, other):
        expect(tab.get_by_role("heading", name=receiver.url)).to_be_visible()
    until(page, f"JSON.parse(sessionStorage.getItem({SESSION})).access !== 'e.x.p'")
    assert kept(page)["refresh"] == kept(other)["refresh"] != before["refresh"]

    other.get_by_role("button", name="Sign out").click()
    expect(page.get_by_text("You signed out in another tab.")).to_be_visible()
    assert page.evaluate("sessionStorage.length") == 0
    # Another browser has no part in it.
    other.close()


def test_another_browser_does_not_get_the_session(signed_in, open_page):
    signed_in()
    other = open_page()
    expect(other.get_by_text(SIGN_IN)).to_be_visible()


def test_a_link_to_somebody_elses_project_says_so(signed_in, customer, api_url):
    page = signed_in()
    strange = "01a20259-3a57-7c63-9fb6-0c94e1b2e278"
    page.evaluate("address => (location.hash = address)", f"#/projects/{strange}/endpoints")
    expect(page.get_by_role("heading", name="This link leads to a project that is not yours")).to_be_visible()
    expect(page.locator("#main")).to_contain_text(strange)
    page.locator("#main").get_by_role("link", name="default").click()
    expect(page.get_by_text("No endpoints yet")).to_be_visible()


def test_an_answer_that_is_not_json_is_told_as_a_fault(signed_in, customer):
    page = signed_in()
    page.route("**/webhooks", lambda route: route.fulfill(status=200, content_type="text/html", body="<h1>Log in to the Wi-Fi</h1>"))
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text("The answer has the status 200, but it is not JSON.")
    page.unroute_all()
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_text("No endpoints yet")).to_be_visible()


def test_the_reference_is_one_click_away_and_back(signed_in, api_url):
    page = signed_in()
    page.get_by_role("link", name="API reference").click()
    page.wait_for_url(f"{api_url}/docs?project_id=*")
    page.go_back()
    expect(page.get_by_role("heading", name="Endpoints")).to_be_visible()


def test_a_wrong_password_is_refused_in_the_apis_words(open_page, customer):
    page = open_page()
    sign_in(page, customer, password="not the password")
    problem = page.get_by_role("alert")
    expect(problem).to_contain_text("The e-mail or the password is wrong")
    expect(problem).to_contain_text("Request")
    sign_in(page, customer)
    expect(page.get_by_role("heading", name="Endpoints")).to_be_visible()


def test_a_key_signs_in_to_its_own_project(open_page, customer):
    page = open_page("/api/console")
    page.get_by_role("button", name="API key").click()
    page.get_by_label("API key").fill("echo_" + "0" * 64)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("The API key is malformed, unknown, revoked or expired")
    page.get_by_label("API key").fill(customer.api_key)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Endpoints")).to_be_visible()
    assert customer.project_id in page.url


def test_the_accounts_projects_are_chosen_from(signed_in, customer, receiver, api_url):
    login = demo.call("POST", f"{api_url}/auth/login", {"email": customer.email, "password": customer.password})[1]
    bearer = {"authorization": f"Bearer {login['access_token']}"}
    second = demo.expect(201, demo.call("POST", f"{api_url}/v1/projects", {"name": "Second"}, **bearer), "a project")
    customer.endpoint(receiver.url)
    page = signed_in()
    expect(page.get_by_role("link", name=receiver.url)).to_be_visible()
    page.get_by_label("Project").select_option("Second")
    expect(page.get_by_text("No endpoints yet")).to_be_visible()
    assert second["id"] in page.url
    page.go_back()
    expect(page.get_by_role("link", name=receiver.url)).to_be_visible()


def test_an_expired_access_token_is_refreshed_unseen(signed_in):
    page = signed_in()
    change_session(page, access="e.x.p")
    expect(page.get_by_text("No endpoints yet")).to_be_visible()
    assert kept(page)["access"] != "e.x.p"


def test_an_ended_session_asks_to_sign_in_and_goes_on_where_it_was(signed_in, customer):
    page = signed_in()
    page.get_by_role("link", name="Access").click()
    expect(page.get_by_role("heading", name="API keys")).to_be_visible()
    change_session(page, access="e.x.p", refresh="e.x.p")
    expect(page.get_by_role("alert")).to_contain_text("Your session has ended")
    sign_in(page, customer)
    expect(page.get_by_role("heading", name="API keys")).to_be_visible()


def test_a_session_that_ends_under_an_open_dialog_asks_to_sign_in(signed_in, customer):
    page = signed_in()
    page.get_by_role("button", name="Create the first endpoint").click()
    page.get_by_label("URL").fill("https://example.com/hook")
    page.get_by_label("call.ended").check()
    page.route("**/v1/**", lambda route: route.fulfill(status=401, json={"statusCode": 401, "message": "no", "error": "Unauthorized"}))
    page.route(
        "**/auth/refresh", lambda route: route.fulfill(status=401, json={"statusCode": 401, "message": "no", "error": "Unauthorized"})
    )
    page.get_by_role("button", name="Create endpoint").click()
    expect(page.get_by_role("alert")).to_contain_text("Your session has ended")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_being_asked_to_wait_is_done_unseen_or_said(signed_in, customer, receiver):
    page = signed_in()
    busy = {"statusCode": 503, "message": "The service is busy", "error": "Service Unavailable"}
    answers = iter([busy, None])

    def once(route):
        answer = next(answers)
        route.fulfill(status=503, json=answer, headers={"retry-after": "1"}) if answer else route.continue_()

    page.route("**/webhooks", once, times=2)
    page.reload()
    expect(page.get_by_text("No endpoints yet")).to_be_visible()

    slow = {"statusCode": 429, "message": "Too many requests", "error": "Too Many Requests"}
    page.route("**/webhooks", lambda route: route.fulfill(status=429, json=slow, headers={"retry-after": "2"}), times=1)
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text("Too many requests")
    expect(page.get_by_role("button", name="Try again in")).to_be_disabled()
    page.get_by_role("button", name="Try again", exact=True).click()
    expect(page.get_by_text("No endpoints yet")).to_be_visible()


def test_a_project_is_deleted_with_the_accounts_password(signed_in, customer, api_url):
    page = signed_in()
    page.get_by_role("link", name="Access").click()
    page.get_by_role("button", name="Delete project").click()
    form = page.get_by_role("dialog", name="Delete this project?")
    form.get_by_label("Your password").fill("not the password")
    form.get_by_role("button", name="Delete permanently").click()
    expect(form.get_by_text("The password must be the account's present password")).to_be_visible()
    form.get_by_label("Your password").fill(customer.password)
    form.get_by_role("button", name="Delete permanently").click()
    expect(page.get_by_text("This account has no project.")).to_be_visible()
    assert demo.call("GET", customer.path + "/events", None, x_api_key=customer.api_key)[0] in (401, 403)
