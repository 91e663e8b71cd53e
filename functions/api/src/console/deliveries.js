// The list of an endpoint's deliveries.

import { EVENT_NAMES, get } from "./api.js";
import { h } from "./dom.js";
import { time } from "./format.js";
import { isUnderWay, log, PAGE } from "./log.js";
import { cell, empty, link, mainCell, pill, shortId } from "./widgets.js";

const HEADINGS = [["Event"], ["Status"], ["Attempts", "number"], ["Outcome"], ["Created", "when"]];
const STATUSES = [
  ["success", "Delivered"],
  ["failed", "Failed"],
  ["retrying", "Retrying"],
  ["pending", "Pending"],
];

export const REASONS = {
  exhausted: "all attempts failed",
  gone: "the receiver answered 410 Gone",
  endpoint_disabled: "the endpoint was disabled",
  endpoint_deleted: "the endpoint was deleted",
  internal: "an internal error of the service",
};

/** The text beside a delivery's status: its next attempt, or the reason of its failure. */
export function outcome(delivery) {
  if (delivery.next_retry_at) return ["next attempt ", time(delivery.next_retry_at)];
  return REASONS[delivery.failure_reason] ?? "";
}

function row(delivery, here) {
  return h(
    "tr",
    null,
    mainCell(link(delivery.event_name, `${here}/deliveries/${delivery.id}`), shortId(delivery.id)),
    cell("Status", "status", pill(delivery.status)),
    cell("Attempts", "number", String(delivery.attempt_count)),
    cell("Outcome", "quiet", outcome(delivery)),
    cell("Created", "when", time(delivery.created_at)),
  );
}

export function deliveryLog({ url, here, events, query, signal, changed }) {
  return log({
    label: "Deliveries",
    ...{ here, query, signal, changed },
    headings: HEADINGS,
    // The endpoint may still subscribe to names that were removed from this deployment.
    names: [...new Set([...EVENT_NAMES, ...events.filter((name) => !name.endsWith("*"))])],
    statuses: STATUSES,
    nothing: empty("No deliveries yet", "Deliveries to this endpoint appear here with all their attempts."),
    load: async ({ filters, cursor }) => (await get(`${url}/deliveries`, { query: { ...filters, limit: PAGE, cursor }, signal })).json,
    row: (delivery) => row(delivery, here),
    isMoving: isUnderWay,
  });
}
