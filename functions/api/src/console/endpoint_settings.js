// The settings of an endpoint that the list of endpoints does not show.

import { h } from "./dom.js";
import { pretty } from "./json.js";
import { copyable, fact } from "./widgets.js";

const ORDERS = { endpoint: "All deliveries, one after another", customer_id: "One after another for each customer_id" };

const AUTHENTICATIONS = {
  oauth2: ({ token_url: url, client_id: id, scope }) => [
    "OAuth 2.0, client ",
    h("code", null, id),
    scope && [", scope ", h("code", null, scope)],
    ", token from ",
    h("code", { class: "break" }, url),
  ],
  mtls: () => "Client certificate (mTLS)",
};

/** The order, the filter and the receiver's authentication, or nothing for an endpoint without these. */
export function settingsPanel({ ordered, filter, auth, public_key: key }) {
  const facts = [
    ordered && fact("Order", ORDERS[ordered] ?? ordered),
    filter && fact("Filter", h("pre", { class: "code answer wrap", tabindex: "0", "aria-label": "Filter" }, pretty(filter))),
    auth && fact("Authentication at the receiver", AUTHENTICATIONS[auth.type]?.(auth) ?? auth.type),
    key && fact("Ed25519 public key", copyable(key, "the public key")),
  ].filter(Boolean);
  return facts.length > 0 && h("section", { class: "panel", "aria-label": "Settings" }, h("dl", { class: "facts wide" }, facts));
}
