"""A new account in the stack, its projects, and a customer's calls of the API."""

import hashlib
import hmac
import itertools
import secrets
import time
import uuid

import boto3

import demo
from console import Failed

# An event with the same id can be sent again and is delivered once (contract §4).
NO_ANSWER = 0
AGAIN = (NO_ANSWER, 429, 500, 502, 503, 504)

requests, events = itertools.count(), itertools.count()


def call(method, url, body=None, **headers):
    next(requests)
    try:
        return demo.call(method, url, body, **headers)
    except OSError as error:
        return NO_ANSWER, str(error)


def signup_token(stack):
    """The sign-up token that docs/deploy.md derives with openssl."""
    secret = boto3.client("secretsmanager").get_secret_value(SecretId=stack.outputs["RootSecretArn"])["SecretString"]
    return hmac.new(secret.encode(), b"echo-webhooks/signup/v1", hashlib.sha256).hexdigest()


class Account:
    def __init__(self, stack):
        self.stack, self.projects = stack, []
        self.email, self._password = f"smoke-{secrets.token_hex(6)}@example.com", secrets.token_urlsafe(24)

    def sign_up(self, token):
        """Signs up. Returns the status and the body of the answer. After a 201, the other methods use the new account."""
        body = {"email": self.email, "password": self._password, "first_name": "Smoke", "last_name": "Test"}
        body |= {"business_name": "Smoke", "business_summary": "A check", "industry": "Software"}
        headers = {"x_signup_token": token} if token else {}
        status, answer = call("POST", f"{self.stack.api_url}/auth/signup", body, **headers)
        if status == 201:
            self._keep(answer)
            self._add(answer["default_project"])
        return status, answer

    def project(self, name):
        """Makes a project for one check, so that the checks do not get each other's events."""
        answer = call("POST", f"{self.stack.api_url}/v1/projects", {"name": name}, **self._owner())
        return self._add(demo.expect(201, answer, "making a project"))

    def revoke(self, project, key_id):
        url = f"{self.stack.api_url}/v1/api-keys/{key_id}/revoke?project_id={project.id}"
        demo.expect(200, call("PATCH", url, **self._owner()), "revoking a key")

    def erase(self):
        """Erases the account with all its projects (contract §2)."""
        for pause in (0, 1, 2, 4, 8):
            time.sleep(pause)
            status, answer = call("DELETE", f"{self.stack.api_url}/auth/account", {"password": self._password}, **self._owner())
            if pause and status == 401:
                # A request before this one had no answer, and erased the account all the same.
                return
            if status not in AGAIN:
                break
        demo.expect(202, (status, answer), "erasing the account")

    def _owner(self):
        """The header with an access token. A token lasts 15 minutes, and a smoke test may take longer."""
        if time.monotonic() > self._fresh_until:
            url = f"{self.stack.api_url}/auth/refresh"
            self._keep(demo.expect(201, call("POST", url, authorization=f"Bearer {self._refresh}"), "refreshing"))
        return {"authorization": f"Bearer {self._access}"}

    def _keep(self, tokens):
        self._access, self._refresh = tokens["access_token"], tokens["refresh_token"]
        self._fresh_until = time.monotonic() + 10 * 60

    def _add(self, made):
        project = Project(self.stack, made["id"], made["api_key"])
        self.projects.append(project)
        return project


class Project:
    def __init__(self, stack, project_id, key):
        self.stack, self.id, self.key = stack, project_id, key
        self.url = f"{stack.api_url}/v1/projects/{project_id}"
        self.event_name = stack.parameters["EventNames"].split(",")[0]

    def call(self, wanted, method, path, body=None):
        return demo.expect(wanted, call(method, f"{self.url}{path}", body, x_api_key=self.key), f"{method} {path}")

    def status_with(self, key):
        return call("GET", f"{self.url}/webhooks", x_api_key=key)[0]

    def new_key(self):
        url = f"{self.stack.api_url}/v1/api-keys"
        return demo.expect(201, call("POST", url, {"name": "smoke"}, x_api_key=self.key), "making a key")

    def endpoint(self, url):
        return self.call(201, "POST", "/webhooks", {"url": url, "events": [self.event_name]})

    def emit(self, data=None):
        """Posts an event, and repeats the post after an answer in `AGAIN`. Returns the body of the 202."""
        next(events)
        body = {"event_id": str(uuid.uuid4()), "event_name": self.event_name, "data": data or {"by": "https"}}
        for pause in (0.5, 1, 2, 4):
            answer = call("POST", f"{self.url}/events", body, x_api_key=self.key)
            if answer[0] not in AGAIN:
                break
            time.sleep(pause)
        return demo.expect(202, answer, "posting an event")

    def deliveries_path(self, endpoint, event):
        [delivery_id] = [each["id"] for each in event["deliveries"] if each["webhook_endpoint_id"] == endpoint["id"]]
        return f"/webhooks/{endpoint['id']}/deliveries/{delivery_id}"

    def settled(self, endpoint, event, seconds):
        """Waits until the delivery of this event has ended, and returns it."""
        path = self.deliveries_path(endpoint, event)
        return self.until(path, lambda delivery: delivery["status"] in ("success", "failed"), seconds)

    def until(self, path, wanted, seconds):
        deadline = time.monotonic() + seconds
        while True:
            status, found = call("GET", f"{self.url}{path}", x_api_key=self.key)
            if status not in AGAIN and wanted(demo.expect(200, (status, found), f"GET {path}")):
                return found
            if time.monotonic() > deadline:
                last = found["status"] if status == 200 else f"answered with {status}"
                raise Failed(f"{path} was still {last} after {seconds:.0f} s")
            time.sleep(0.5)
