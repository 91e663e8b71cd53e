// The list of an endpoint's deliveries.

import { get } from "./api.js";
import { h } from "./dom.js";
import { breakable, time } from "./format.js";
import { isUnderWay, log, PAGE } from "./log.js";
import { cell, empty, link, mainCell, pill, shortId } from "./widgets.js";

const HEADINGS = [["Event"], ["Status"], ["Attempts", "number"], ["Outcome"], ["Created", "when"]];
export const STATUSES = [
  ["success", "Delivered"],
  ["failed", "Failed"],
  ["retrying", "Retrying"],
  ["pending", "Pending"],
];
// A page of payloads can have megabytes.
export const FIELDS = "id,webhook_endpoint_id,event_name,status,attempt_count,next_retry_at,failure_reason,created_at,last_attempt";

export const REASONS = {
  exhausted: "all attempts failed",
  gone: "the receiver answered 410 Gone",
  endpoint_disabled: "the endpoint was disabled",
  endpoint_deleted: "the endpoint was deleted",
  erased: "the payload was erased",
  internal: "an internal error of the service",
};

/** The end of an attempt in a few words: the status that came, or the reason why none came. */
export const ending = (attempt) => (attempt.http_status ? `HTTP ${attempt.http_status}` : attempt.error_message);

/** The text beside a delivery's status: how the last attempt ended, the next attempt, or another reason of its failure. */
export function outcome({ status, failure_reason: reason, last_attempt: last, next_retry_at: next }) {
  const ended = last && ending(last);
  if (next) return [ended && `${ended}, `, "next attempt ", time(next)];
  if (status !== "failed" || (reason === "exhausted" && ended)) return ended ?? "";
  const why = REASONS[reason] ?? reason;
  return ended && reason !== "gone" ? `${why}; the last attempt: ${ended}` : why;
}

/** A link to an endpoint of a delivery. */
export const endpointLink = (id, urls, home) =>
  link(urls.has(id) ? breakable(urls.get(id)) : `Endpoint …${id.slice(-12)}`, `${home}/endpoints/${id}`, { class: "url clamped" });

function row(delivery, here) {
  return h(
    "tr",
    null,
    mainCell(link(delivery.event_name, `${here}/deliveries/${delivery.id}`), shortId(delivery.id)),
    cell("Status", "status", pill(delivery.status)),
    cell("Attempts", "number", String(delivery.attempt_count)),
    cell("Outcome", "quiet break", h("span", null, outcome(delivery))),
    cell("Created", "when", time(delivery.created_at)),
  );
}

export function deliveryLog({ url, here, names, events, query, signal, changed }) {
  return log({
    label: "Deliveries",
    ...{ here, query, signal, changed },
    headings: HEADINGS,
    // The endpoint may still subscribe to names that were removed from this deployment.
    names: [...new Set([...names, ...events.filter((name) => !name.endsWith("*"))])],
    statuses: STATUSES,
    nothing: empty("No deliveries yet", "Deliveries to this endpoint appear here with all their attempts."),
    load: async ({ filters, cursor }) =>
      (await get(`${url}/deliveries`, { query: { ...filters, limit: PAGE, cursor, fields: FIELDS }, signal })).json,
    row: (delivery) => row(delivery, here),
    isMoving: isUnderWay,
  });
}
