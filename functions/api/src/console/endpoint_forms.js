// What changes an endpoint, each in a dialog that says what it does.

import { change, EVENT_NAMES, Problem } from "./api.js";
import { formDialog, tell } from "./dialogs.js";
import { h } from "./dom.js";
import { button, checked, checks, copyButton, field, named, toast } from "./widgets.js";

const text = (value, props) => h("input", { type: "text", value, autocomplete: "off", spellcheck: "false", ...props });

/** A line for each header, and a button for one more. A value may be a credential: it can be read while it is typed. */
function headersField(headers) {
  const lines = h("div", { class: "lines" });
  const add = (name, value) => {
    const line = h("div", { class: "line" });
    const drop = () => {
      line.remove();
      more.focus();
    };
    const parts = [text(name, { "aria-label": "Header name", placeholder: "x-tenant" }), text(value, { "aria-label": "Header value", class: "masked" })];
    line.append(...parts, button("", drop, { kind: "small ghost", mark: "cross", "aria-label": "Remove this header" }));
    lines.append(line);
    return parts[0];
  };
  const more = button("Add header", () => add("", "").focus(), { kind: "small", mark: "plus" });
  Object.entries(headers).forEach(([name, value]) => add(name, value));
  const read = () => {
    const pairs = [...lines.children].map((line) => [...line.querySelectorAll("input")].map((input) => input.value.trim())).filter(([name, value]) => name || value);
    if (new Set(pairs.map(([name]) => name.toLowerCase())).size < pairs.length) throw new Problem(400, "headers must have different names");
    return Object.fromEntries(pairs);
  };
  const hint = h("p", { class: "hint" }, "Such as ", h("code", null, "authorization"), " or ", h("code", null, "x-…"), ", sent with each request.");
  return { element: named("headers", h("fieldset", { class: "checks plain" }, h("legend", null, "Headers of its own"), lines, h("div", null, more), hint)), read };
}

/** A whole number as one, nothing as none, and what is neither as it is, for the API to judge. */
const numberOrNull = (typed) => (/^\d+$/.test(typed) ? Number(typed) : typed || null);

function form(endpoint) {
  const url = h("input", { type: "url", value: endpoint?.url ?? "", placeholder: "https://example.com/webhooks", autocomplete: "off", spellcheck: "false" });
  const names = [...new Set([...EVENT_NAMES, ...(endpoint?.events ?? [])])];
  const events = checks("Events", names, endpoint?.events ?? []);
  const description = text(endpoint?.description ?? "", { spellcheck: null });
  const limit = text(endpoint?.rate_limit_per_second ?? "", { inputmode: "numeric", placeholder: "No limit" });
  const headers = headersField(endpoint?.headers ?? {});
  const body = [
    named("url", field("URL", url, "Public and https. Its answer counts: any 2xx is a success.")),
    named("events", events),
    named("description", field("Description", description)),
    named("rate_limit_per_second", field("Rate limit, requests a second", limit, "1 to 1,000. What comes faster waits its turn.")),
    headers.element,
  ];
  const read = () => ({
    url: url.value.trim(),
    events: checked(events),
    description: description.value.trim() || null,
    rate_limit_per_second: numberOrNull(limit.value.trim()),
    headers: headers.read(),
  });
  return { body, read };
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

/** Only what was changed is sent: what someone else has changed meanwhile stays theirs. */
export function editEndpoint(path, endpoint, done) {
  const { body, read } = form(endpoint);
  const before = read();
  const differs = ([name, value]) => JSON.stringify(value) !== JSON.stringify(before[name]);
  return formDialog("Edit endpoint", body, {
    action: "Save",
    submit: async () => {
      const changes = Object.entries(read()).filter(differs);
      if (!changes.length) return;
      await change("PATCH", path, Object.fromEntries(changes));
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
