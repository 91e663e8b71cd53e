// How the service shows itself to a receiver, beyond signatures: a token of OAuth 2.0, or a client certificate.

import { Problem } from "./api.js";
import { fill, h } from "./dom.js";
import { MASK, text } from "./endpoint_fields.js";
import { field, named } from "./widgets.js";

const secret = (value) => text(value ?? "", { class: "masked", onfocus: ({ target }) => target.select() });
const pem = (value, props) =>
  h("textarea", { value: value ?? "", rows: 4, spellcheck: "false", autocomplete: "off", class: "json-input", ...props });

const FIELDS = {
  oauth2: [
    ["token_url", "Token URL", (value) => text(value ?? "", { type: "url", placeholder: "https://login.example.com/oauth/token" })],
    ["client_id", "Client id", (value) => text(value ?? "")],
    ["client_secret", "Client secret", secret],
    ["scope", "Scope", (value) => text(value ?? ""), "Empty: none is asked for."],
  ],
  mtls: [
    ["certificate", "Certificate (PEM)", (value) => pem(value, { placeholder: "-----BEGIN CERTIFICATE-----" })],
    ["key", "Private key (PEM)", (value) => pem(value, { class: "json-input masked", placeholder: "-----BEGIN PRIVATE KEY-----" })],
  ],
};
const TYPES = [
  ["", "None"],
  ["oauth2", "OAuth 2.0 client credentials"],
  ["mtls", "Client certificate (mTLS)"],
];
const SECRETS = ["client_secret", "certificate", "key"];

export function authField(auth) {
  const place = h("div");
  let inputs = new Map();
  const show = () => {
    const kept = type.value === auth?.type ? auth : {};
    inputs = new Map();
    const part = ([name, label, make, hint]) => {
      const input = make(kept[name]);
      inputs.set(name, input);
      return field(label, input, hint);
    };
    const isSaved = Object.values(kept).includes(MASK);
    fill(
      place,
      (FIELDS[type.value] ?? []).map(part),
      isSaved && h("p", { class: "hint" }, "A saved secret is never shown again; ", h("code", null, MASK), " keeps it."),
    );
  };
  const type = h(
    "select",
    { onchange: show },
    TYPES.map(([value, label]) => h("option", { value, selected: value === (auth?.type ?? "") }, label)),
  );
  show();
  const read = () => {
    if (!type.value) return null;
    const values = [...inputs].map(([name, input]) => [name, input.value.trim()]).filter(([name, value]) => value || name !== "scope");
    return { type: type.value, ...Object.fromEntries(values) };
  };
  const part = h("div", null, field("Authentication at the receiver", type, "Beside the signatures, which every request has."), place);
  return { element: named("auth", "The authentication", part), read };
}

const originOf = (url) => (URL.canParse(url) ? new URL(url).origin : null);

/** No saved secret moves to another origin, neither with the endpoint's URL nor with the token URL. */
export function requireSecretsAgain({ url, auth }, endpoint) {
  if (!auth || !SECRETS.some((name) => auth[name] === MASK)) return;
  const moves = originOf(url) !== originOf(endpoint.url) || originOf(auth.token_url) !== originOf(endpoint.auth?.token_url);
  if (moves) throw new Problem(400, "A URL moves to another origin, so enter the secret again.", { field: "auth" });
}
