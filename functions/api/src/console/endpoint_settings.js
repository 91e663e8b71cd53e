// What an endpoint is set to, beyond what its list shows.

import { h } from "./dom.js";
import { pretty } from "./json.js";
import { fact } from "./widgets.js";

const ORDERS = { endpoint: "All deliveries, one after another", customer_id: "One after another for each customer_id" };

/** The order and the filter, or null for an endpoint that has neither. */
export function settingsPanel({ ordered, filter }) {
  const facts = [
    ordered && fact("Order", ORDERS[ordered] ?? ordered),
    filter && fact("Filter", h("pre", { class: "code answer wrap", tabindex: "0", "aria-label": "Filter" }, pretty(filter))),
  ].filter(Boolean);
  return facts.length > 0 && h("section", { class: "panel", "aria-label": "Settings" }, h("dl", { class: "facts wide" }, facts));
}
