// Each change of an endpoint, in a dialog that explains it.

import { change, EVENT_NAMES, Problem } from "./api.js";
import { formDialog, tell } from "./dialogs.js";
import { h } from "./dom.js";
import { button, checked, checks, copyButton, field, named, toast } from "./widgets.js";

const text = (value, props) => h("input", { type: "text", value, autocomplete: "off", spellcheck: "false", ...props });

/** What the API shows in place of a header's value. Sent back, it keeps the value. */
const MASK = "********";

/** A line for each header, and a button that adds one. A value may be a credential, so it shows only while it has the focus. */
function headersField(headers) {
  const lines = h("div", { class: "lines" });
  const add = (name, value) => {
    const line = h("div", { class: "line" });
    const drop = () => {
      line.remove();
      more.focus();
    };
    const parts = [
      text(name, { "aria-label": "Header name", placeholder: "x-tenant" }),
      text(value, { "aria-label": "Header value", class: "masked", onfocus: ({ target }) => target.select() }),
    ];
    line.append(...parts, button("", drop, { kind: "small ghost", mark: "cross", "aria-label": "Remove this header" }));
    lines.append(line);
    return parts[0];
  };
  const more = button("Add header", () => add("", "").focus(), { kind: "small", mark: "plus" });
  Object.entries(headers).forEach(([name, value]) => add(name, value));
  const read = () => {
    const pairs = [...lines.children]
      .map((line) => [...line.querySelectorAll("input")].map((input) => input.value.trim()))
      .filter(([name, value]) => name || value);
    if (new Set(pairs.map(([name]) => name.toLowerCase())).size < pairs.length)
      throw new Problem(400, "Custom headers must have different names.", { field: "headers" });
    return Object.fromEntries(pairs);
  };
  const kept = Object.keys(headers).length ? [" A saved value is never shown again; ", h("code", null, MASK), " keeps it."] : [];
  const hint = h("p", { class: "hint" }, "Sent with each request, for example ", h("code", null, "authorization"), ".", kept);
  return {
    element: named(
      "headers",
      "Custom headers",
      h("fieldset", { class: "checks plain" }, h("legend", null, "Custom headers"), lines, h("div", null, more), hint),
    ),
    read,
  };
}

/** A whole number as a number and an empty input as null. Other text stays text, and the API refuses it. */
const numberOrNull = (typed) => (/^\d+$/.test(typed) ? Number(typed) : typed || null);

function atLeastOne(names) {
  if (!names.length) throw new Problem(400, "Choose at least one event.", { field: "events" });
  return names;
}

function form(endpoint) {
  const url = h("input", {
    type: "url",
    value: endpoint?.url ?? "",
    placeholder: "https://example.com/webhooks",
    autocomplete: "off",
    spellcheck: "false",
  });
  const names = [...new Set([...EVENT_NAMES, ...(endpoint?.events ?? [])])];
  const events = checks("Events", names, endpoint?.events ?? []);
  const description = text(endpoint?.description ?? "", { spellcheck: null });
  const limit = text(endpoint?.rate_limit_per_second ?? "", { inputmode: "numeric", placeholder: "No limit" });
  const headers = headersField(endpoint?.headers ?? {});
  const body = [
    named("url", "This URL", field("URL", url, "A public https URL. A response with a 2xx status is a success.")),
    named("events", "The events", events),
    named("description", "The description", field("Description", description)),
    named(
      "rate_limit_per_second",
      "The rate limit",
      field("Rate limit, requests per second", limit, "1 to 1,000. Deliveries above the limit wait."),
    ),
    headers.element,
  ];
  const read = () => ({
    url: url.value.trim(),
    events: atLeastOne(checked(events)),
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

/** No saved value moves to another origin: whoever may edit an endpoint could otherwise send it to a host of their own. */
function requireValuesAgain({ url, headers }, endpoint) {
  const moves = URL.canParse(url) && new URL(url).origin !== new URL(endpoint.url).origin;
  if (moves && Object.values(headers).includes(MASK))
    throw new Problem(400, "The URL moves to another origin, so enter the value of each header again, or remove the header.", {
      field: "headers",
    });
}

/** Sends only the changed fields, so that changes which someone else made in the meantime stay. */
export function editEndpoint(path, endpoint, done) {
  const { body, read } = form(endpoint);
  const before = read();
  const differs = ([name, value]) => JSON.stringify(value) !== JSON.stringify(before[name]);
  return formDialog("Edit endpoint", body, {
    action: "Save",
    submit: async () => {
      const values = read();
      requireValuesAgain(values, endpoint);
      const changes = Object.entries(values).filter(differs);
      if (!changes.length) return;
      await change("PATCH", path, Object.fromEntries(changes));
      toast("Saved. The change applies from now on.");
      done();
    },
  });
}

export function disableEndpoint(path, done) {
  const body = [
    h("p", null, "Events that are accepted while the endpoint is disabled are not delivered to it."),
    h(
      "p",
      null,
      "A delivery that waits for a retry fails when the retry is due, unless you enable the endpoint before then. You can retry it later.",
    ),
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

/** Sends one sample event to this endpoint only, whether or not it subscribes to the event. */
export function testEndpoint(path, endpoint, done) {
  const names = [...new Set([...endpoint.events.filter((each) => !each.endsWith("*")), ...EVENT_NAMES])];
  const name = h(
    "select",
    null,
    names.map((value) => h("option", { value }, value)),
  );
  const body = field("Event", name, "Only this endpoint gets the sample event. It is signed and retried like any other event.");
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
    h("p", null, "The endpoint gets a new signing secret, and the service signs every later attempt with it."),
    h(
      "ul",
      null,
      h(
        "li",
        null,
        "For 24 hours ",
        h("code", null, "webhook-signature"),
        " also carries a signature by the current secret. A receiver that verifies this header with a Standard Webhooks library keeps working while you change the secret there.",
      ),
      h(
        "li",
        null,
        "For 24 hours ",
        h("code", null, "x-echo-signature-previous"),
        " carries a signature by the current secret, and ",
        h("code", null, "x-echo-signature"),
        " one by the new secret. The code in the tab Verify accepts either. A receiver that checks only ",
        h("code", null, "x-echo-signature"),
        " refuses deliveries until it has the new secret. Refused deliveries are retried.",
      ),
    ),
    h(
      "p",
      null,
      "If you rotate again within 24 hours, the current secret stops working: the service keeps only the newest secret and the one before it.",
    ),
  ];
  await formDialog("Rotate the signing secret?", body, {
    action: "Rotate secret",
    submit: async () => {
      secret = (await change("POST", `${path}/secret/rotate`)).json.signing_secret;
    },
  });
  if (!secret) return;
  const copy = copyButton(() => secret, "Copy secret", { said: "Secret copied" });
  await tell(
    "The new secret",
    h("p", null, "Give the secret to the receiver within 24 hours. The tab Verify shows it again."),
    h("p", { class: "secret" }, h("code", null, secret), copy),
  );
  done();
}

export function deleteEndpoint(path, endpoint, done) {
  const body = [
    h("p", { class: "break" }, h("b", null, endpoint.url)),
    h(
      "p",
      null,
      "Unfinished deliveries fail, and the console no longer lists this endpoint's deliveries. You cannot undo this. You can disable the endpoint instead.",
    ),
  ];
  return formDialog("Delete this endpoint?", body, {
    action: "Delete permanently",
    kind: "danger",
    submit: async () => {
      await change("DELETE", path);
      toast("Endpoint deleted");
      done();
    },
  });
}
