"""Making an account on the sign-in page, as far as the operator lets people."""

import json
import re
import secrets

import demo
from conftest import expect

PERSON = {
    "First name": "Ada",
    "Last name": "Lovelace",
    "Business": "Engines",
    "What the business does": "It computes",
    "Industry": "Software",
}
NO_TOKEN = "The header x-signup-token is missing or wrong; the operator of this service has it"


def under(page, policy):
    """Opens the page as a service with this policy serves it."""

    def changed(route):
        answer = route.fetch()
        route.fulfill(response=answer, body=answer.text().replace('name="sign-up" content="open"', f'name="sign-up" content="{policy}"'))

    page.route(re.compile("/console$"), changed)
    page.reload()


def fill(page, email, password="correct horse"):
    page.get_by_role("button", name="Sign up").click()
    for label, text in (PERSON | {"E-mail": email, "Password": password}).items():
        page.get_by_label(label, exact=True).fill(text)


def test_an_account_is_made_and_shows_its_first_key_once(open_page, api_url):
    page, email = open_page(), f"ada-{secrets.token_hex(6)}@example.com"
    expect(page.get_by_text("No account yet? Choose Sign up.")).to_be_visible()
    fill(page, "not an address")
    page.get_by_role("button", name="Create account").click()
    said = page.locator("[data-field=email] + div").get_by_role("alert")
    expect(said).to_contain_text("The e-mail address must be")
    expect(page.get_by_label("E-mail")).to_be_focused()
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill("short")
    page.get_by_role("button", name="Create account").click()
    expect(page.locator("[data-field=password] + div").get_by_role("alert")).to_contain_text("The password must be")
    page.get_by_label("Password").fill("correct horse")
    page.get_by_role("button", name="Create account").click()
    shown = page.get_by_role("dialog").get_by_text(re.compile("^echo_[0-9a-f]{64}$"))
    expect(shown).to_be_visible()
    key = shown.text_content()
    page.keyboard.press("Escape")
    expect(shown).to_be_visible()
    page.get_by_role("button", name="Copy key").click()
    assert page.evaluate("navigator.clipboard.readText()") == key
    page.get_by_role("button", name="Done").click()
    expect(page.get_by_text("No endpoints yet")).to_be_visible()
    assert key not in page.content()
    [project] = demo.expect(200, demo.call("GET", f"{api_url}/v1/projects", x_api_key=key), "listing")
    assert project["id"] in page.url
    page.reload()
    expect(page.get_by_text(email)).to_be_visible()


def test_an_address_that_is_taken_is_said_at_its_field(open_page, customer):
    page = open_page()
    fill(page, customer.email)
    page.get_by_role("button", name="Create account").click()
    said = page.locator("[data-field=email] + div").get_by_role("alert")
    expect(said).to_contain_text("The e-mail address is already signed up")


def test_a_service_may_ask_for_a_token(open_page):
    page, sent = open_page(), []

    def refuse(route):
        sent.append((route.request.headers.get("x-signup-token"), route.request.post_data))
        route.fulfill(status=401, json={"statusCode": 401, "message": NO_TOKEN, "error": "Unauthorized"})

    page.route("**/auth/signup", refuse)
    under(page, "token")
    expect(page.get_by_text("The operator of this service gives you the token for it.")).to_be_visible()
    fill(page, "ada@example.com")
    page.get_by_label("Sign-up token").fill("let me in")
    page.get_by_role("button", name="Create account").click()
    said = page.locator("[data-field=token] + div").get_by_role("alert")
    expect(said).to_contain_text("The sign-up token is missing or wrong.")
    expect(page.get_by_label("Sign-up token")).to_be_focused()
    [(token, body)] = sent
    assert token == "let me in" and "token" not in json.loads(body)


def test_a_closed_service_says_who_makes_accounts(open_page):
    page = open_page()
    under(page, "closed")
    expect(page.get_by_text("This service takes no sign-ups at present.")).to_be_visible()
    expect(page.get_by_role("button", name="Sign up")).to_have_count(0)
