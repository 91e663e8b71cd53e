// What changes an endpoint, each in a dialog that says what it does.

import { change, EVENT_NAMES } from "./api.js";
import { formDialog, tell } from "./dialogs.js";
import { h } from "./dom.js";
import { checked, checks, copyButton, field, toast } from "./widgets.js";

function form(endpoint) {
  const url = h("input", { type: "url", value: endpoint?.url ?? "", placeholder: "https://example.com/webhooks", autocomplete: "off", spellcheck: "false" });
  const names = [...new Set([...EVENT_NAMES, ...(endpoint?.events ?? [])])];
  const events = checks("Events", names, endpoint?.events ?? []);
  return { body: [field("URL", url, "Public and https. Its answer counts: any 2xx is a success."), events], read: () => ({ url: url.value.trim(), events: checked(events) }) };
}

export function createEndpoint(path, done) {
  const { body, read } = form();
  return formDialog("New endpoint", body, {
    action: "Create endpoint",
    submit: async () => {
      const { json } = await change("POST", `${path}/webhooks`, read());
      toast("Endpoint created");
      done(json);
    },
  });
}

export function editEndpoint(path, endpoint, done) {
  const { body, read } = form(endpoint);
  return formDialog("Edit endpoint", body, {
    action: "Save",
    submit: async () => {
      await change("PATCH", path, read());
      toast("Saved; holds for every event accepted from now on");
      done();
    },
  });
}

export function disableEndpoint(path, done) {
  const body = [
    h("p", null, "No deliveries are made for events accepted while it is disabled."),
    h("p", null, "Deliveries that wait for a retry end as failed when they come due, unless it is enabled again by then. They can be retried later."),
  ];
  return formDialog("Disable this endpoint?", body, {
    action: "Disable",
    submit: async () => {
      await change("PATCH", path, { status: "disabled" });
      toast("Endpoint disabled");
      done();
    },
  });
}

/** One sample event to this endpoint alone, subscribed or not. */
export function testEndpoint(path, endpoint, done) {
  const names = [...new Set([...endpoint.events, ...EVENT_NAMES])];
  const name = h("select", null, names.map((value) => h("option", { value }, value)));
  const body = field("Event", name, "A sample is sent to this endpoint alone, signed and retried like any event.");
  return formDialog("Send a test event", body, {
    action: "Send",
    submit: async () => {
      await change("POST", `${path}/test`, { event_name: name.value });
      toast("Test event sent");
      done();
    },
  });
}

export async function enableEndpoint(path, done) {
  await change("PATCH", path, { status: "active" });
  toast("Endpoint enabled");
  done();
}

export async function rotateSecret(path, done) {
  let secret = null;
  const body = [
    h("p", null, "The endpoint gets a new signing secret, and every attempt from then on is signed with it."),
    h(
      "ul",
      null,
      h("li", null, "For 24 hours ", h("code", null, "webhook-signature"), " carries a second signature by the present secret, so a receiver that checks it with a Standard Webhooks library goes on working while you change over."),
      h("li", null, h("code", null, "x-echo-signature"), " is by the new secret at once. A receiver that checks that header should accept both secrets before you go on."),
    ),
    h("p", null, "Rotating again within the 24 hours drops the present secret: only the one before the newest is kept."),
  ];
  await formDialog("Rotate the signing secret?", body, {
    action: "Rotate secret",
    submit: async () => {
      secret = (await change("POST", `${path}/secret/rotate`)).json.signing_secret;
    },
  });
  if (!secret) return;
  const copy = copyButton(() => secret, "Copy secret", { said: "Secret copied" });
  await tell("The new secret", h("p", null, "Give it to the receiver within 24 hours. It can also be seen under Verify."), h("p", { class: "secret" }, h("code", null, secret), copy));
  done();
}

export function deleteEndpoint(path, endpoint, done) {
  const body = [
    h("p", { class: "break" }, h("b", null, endpoint.url)),
    h("p", null, "Deliveries under way end as failed, and its log can no longer be seen here. This cannot be undone; disabling can."),
  ];
  return formDialog("Delete this endpoint?", body, {
    action: "Delete for good",
    kind: "danger",
    submit: async () => {
      await change("DELETE", path);
      toast("Endpoint deleted");
      done();
    },
  });
}
