// Each change of an endpoint, in a dialog that explains it.

import { change, Problem } from "./api.js";
import { authField, requireSecretsAgain } from "./auth_field.js";
import { formDialog, tell } from "./dialogs.js";
import { h } from "./dom.js";
import { eventsField, headersField, MASK, orderField, text } from "./endpoint_fields.js";
import { eventNames, eventTypes } from "./event_names.js";
import { filterField } from "./filter_field.js";
import { copyButton, field, named, toast } from "./widgets.js";

/** A whole number as a number and an empty input as null. Other text stays text, and the API refuses it. */
const numberOrNull = (typed) => (/^\d+$/.test(typed) ? Number(typed) : typed || null);

/** Whether endpoints have a field: an endpoint shows all of its fields, and a new one takes all. */
const has = (name, endpoint) => !endpoint || name in endpoint;

function form({ path, tester, types, endpoint }) {
  const url = h("input", {
    type: "url",
    value: endpoint?.url ?? "",
    placeholder: "https://example.com/webhooks",
    autocomplete: "off",
    spellcheck: "false",
  });
  const events = eventsField(endpoint?.events ?? [], types);
  const description = text(endpoint?.description ?? "", { spellcheck: null });
  const limit = text(endpoint?.rate_limit_per_second ?? "", { inputmode: "numeric", placeholder: "No limit" });
  const headers = headersField(endpoint?.headers ?? {});
  const filter = filterField({ path, tester, filter: endpoint?.filter ?? null });
  const order = orderField(endpoint?.ordered);
  const auth = has("auth", endpoint) && authField(endpoint?.auth);
  const ed25519 = has("ed25519", endpoint) && h("input", { type: "checkbox", checked: endpoint?.ed25519 ?? false });
  const body = [
    named("url", "This URL", field("URL", url, "A public https URL. A response with a 2xx status is a success.")),
    events.element,
    filter.element,
    order.element,
    named("description", "The description", field("Description", description)),
    named(
      "rate_limit_per_second",
      "The rate limit",
      field("Rate limit, requests per second", limit, "1 to 1,000. Deliveries above the limit wait."),
    ),
    headers.element,
    auth?.element,
    ed25519 &&
      named(
        "ed25519",
        "The Ed25519 signature",
        h(
          "div",
          { class: "checks plain" },
          h("label", null, ed25519, h("span", null, "Also sign with Ed25519, by a key of the endpoint's own")),
        ),
      ),
  ];
  const read = () => ({
    url: url.value.trim(),
    events: events.read(),
    filter: filter.read(),
    ordered: order.read(),
    description: description.value.trim() || null,
    rate_limit_per_second: numberOrNull(limit.value.trim()),
    headers: headers.read(),
    ...(auth && { auth: auth.read() }),
    ...(ed25519 && { ed25519: ed25519.checked }),
  });
  return { body, read };
}

/** A new endpoint of the project at `path`. `tester` is the path of an endpoint whose project a filter can be tried in, or null. */
export async function createEndpoint({ path, tester }, done) {
  const { body, read } = form({ path, tester, types: await eventTypes() });
  return formDialog("New endpoint", body, {
    action: "Create endpoint",
    submit: async () => {
      const { json } = await change("POST", `${path}/webhooks`, read());
      toast("Endpoint created");
      done(json);
    },
  });
}

/** No saved value moves to another origin: a person who may edit an endpoint could otherwise send it to a host of their own. */
function requireValuesAgain({ url, headers }, endpoint) {
  const moves = URL.canParse(url) && new URL(url).origin !== new URL(endpoint.url).origin;
  if (moves && Object.values(headers).includes(MASK))
    throw new Problem(400, "The URL moves to another origin, so enter the value of each header again, or remove the header.", {
      field: "headers",
    });
}

/** Sends only the changed fields, so that changes which someone else made in the meantime stay. */
export async function editEndpoint({ path, url }, endpoint, done) {
  const { body, read } = form({ path, tester: url, types: await eventTypes(), endpoint });
  const before = read();
  const differs = ([name, value]) => JSON.stringify(value) !== JSON.stringify(before[name]);
  return formDialog("Edit endpoint", body, {
    action: "Save",
    submit: async () => {
      const values = read();
      requireValuesAgain(values, endpoint);
      requireSecretsAgain(values, endpoint);
      const changes = Object.entries(values).filter(differs);
      if (!changes.length) return;
      await change("PATCH", url, Object.fromEntries(changes));
      toast("Saved. The change applies from now on.");
      done();
    },
  });
}

export function disableEndpoint(path, endpoint, done) {
  const body = [
    h("p", { class: "break" }, h("b", null, endpoint.url)),
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
export async function testEndpoint(path, endpoint, done) {
  const names = [...new Set([...endpoint.events.filter((each) => !each.endsWith("*")), ...(await eventNames())])];
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

export async function rotateSecret(path, endpoint, done) {
  let secret = null;
  const body = [
    h("p", { class: "break" }, h("b", null, endpoint.url)),
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
