// The delivery log of an endpoint: filters, pages, and rows that follow what is under way.

import { EVENT_NAMES, get } from "./api.js";
import { fill, h } from "./dom.js";
import { time } from "./format.js";
import { button, empty, link, loading, pill, problemBox } from "./widgets.js";

const PAGE = 25;
const FIRST_LOOK_MS = 1_500;
const LAST_LOOK_MS = 60_000;

export const REASONS = {
  exhausted: "all attempts failed",
  gone: "the receiver answered 410 Gone",
  endpoint_disabled: "the endpoint was disabled",
  endpoint_deleted: "the endpoint was deleted",
  internal: "a fault of the service",
};

function outcome(delivery) {
  if (delivery.next_retry_at) return ["next attempt ", time(delivery.next_retry_at)];
  return REASONS[delivery.failure_reason] ?? "";
}

function row(delivery, here) {
  const cell = (label, kind, ...children) => h("td", { class: kind, "data-label": label }, children);
  return h(
    "tr",
    null,
    h("td", { class: "main-cell" }, link(delivery.event_name, `${here}/deliveries/${delivery.id}`), h("code", { class: "quiet small-id", title: delivery.id }, `…${delivery.id.slice(-12)}`)),
    cell("Status", "status", pill(delivery.status)),
    cell("Attempts", "number", String(delivery.attempt_count)),
    cell("Outcome", "quiet", outcome(delivery)),
    cell("Made", "when", time(delivery.created_at)),
  );
}

/** RFC 3339 to and from what a local date and time input holds. */
const toLocal = (text) => {
  const at = new Date(text ?? "");
  return Number.isNaN(at.valueOf()) ? "" : new Date(at - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
};
const fromLocal = (text) => (text ? new Date(text).toISOString() : "");

/** Filters as a bar of inputs that live in the address, so that back, forward and a copied address mean the same. */
export function filterBar(here, query, names, statuses) {
  const select = (name, label, options) => {
    const all = [h("option", { value: "" }, `Any ${label.toLowerCase()}`), ...options.map(([value, text]) => h("option", { value, selected: query.get(name) === value }, text))];
    return h("select", { name, "aria-label": label }, all);
  };
  const at = (name, label) => h("label", null, h("span", null, label), h("input", { type: "datetime-local", name, value: toLocal(query.get(name)) }));
  const apply = (event) => {
    event.preventDefault();
    const next = new URLSearchParams();
    for (const [name, value] of new FormData(form)) if (value) next.set(name, name === "since" || name === "until" ? fromLocal(value) : value);
    location.hash = next.size ? `${here}?${next}` : here;
  };
  const form = h(
    "form",
    { class: "filters", onsubmit: apply, onchange: apply, role: "search", "aria-label": "Filter" },
    statuses && select("status", "Status", statuses),
    select("event_name", "Event", names.map((name) => [name, name])),
    at("since", "From"),
    at("until", "To"),
    query.size > 0 && link("Clear", here, { class: "clear" }),
  );
  return form;
}

/** Whether any of these still changes by itself soon. */
const isUnderWay = ({ status, next_retry_at: next }) => status === "pending" || (status === "retrying" && Date.parse(next) < Date.now() + LAST_LOOK_MS);

export function deliveryLog({ url, here, events, query, signal, changed }) {
  const filters = Object.fromEntries(["status", "event_name", "since", "until"].map((name) => [name, query.get(name) ?? ""]));
  const isFiltered = Object.values(filters).some(Boolean);
  const body = h("tbody");
  const more = h("div", { class: "more" });
  const place = h("div", null, loading("Loading deliveries"));
  const headings = [["Event"], ["Status"], ["Attempts", "number"], ["Outcome"], ["Made", "when"]];
  const table = h("table", { class: "list" }, h("thead", null, h("tr", null, headings.map(([label, kind]) => h("th", { scope: "col", class: kind }, label)))), body);
  const load = (cursor) => get(`${url}/deliveries`, { query: { ...filters, limit: PAGE, cursor }, signal });
  const older = (cursor) => {
    if (!cursor) return fill(more);
    const next = button("Show older", async () => {
      next.setAttribute("aria-busy", "true");
      try {
        const { json } = await load(cursor);
        const first = json.data.map((delivery) => body.appendChild(row(delivery, here)))[0];
        older(json.next_cursor);
        first?.querySelector("a").focus();
      } catch (problem) {
        if (signal.aborted || problem.status === 401) throw problem;
        fill(more, problemBox(problem, () => older(cursor)));
      }
    });
    return fill(more, next);
  };
  let wait = FIRST_LOOK_MS;
  const follow = () => setTimeout(async () => {
    if (signal.aborted) return;
    wait = Math.min(wait * 1.5, LAST_LOOK_MS);
    // Not while someone has paged on or reads something else.
    if (document.hidden || body.children.length > PAGE) follow();
    else await refresh();
  }, wait);
  const refresh = async () => {
    try {
      const { json } = await load();
      if (signal.aborted) return;
      show(json);
      changed?.();
    } catch (problem) {
      if (signal.aborted || problem.status === 401) throw problem;
      fill(place, problemBox(problem, refresh));
    }
  };
  const show = ({ data, next_cursor: cursor }) => {
    const focused = [...body.querySelectorAll("a")].findIndex((each) => each === document.activeElement);
    const focusedHref = body.querySelectorAll("a")[focused]?.getAttribute("href");
    fill(body, data.map((delivery) => row(delivery, here)));
    if (focusedHref) body.querySelector(`a[href="${CSS.escape(focusedHref)}"]`)?.focus();
    older(cursor);
    const nothing = isFiltered ? empty("Nothing matches", "No delivery matches these filters.", link("Clear the filters", here, { class: "button" })) : empty("No deliveries yet", "Each event that this endpoint subscribes to appears here with every attempt.");
    fill(place, data.length ? [table, more] : nothing);
    if (data.some(isUnderWay)) follow();
  };
  refresh();
  const statuses = [["success", "Delivered"], ["failed", "Failed"], ["retrying", "Retrying"], ["pending", "Pending"]];
  const names = [...new Set([...EVENT_NAMES, ...events])];
  const again = button("Refresh", () => ((wait = FIRST_LOOK_MS), refresh()), { kind: "small ghost", mark: "retry" });
  return h("section", { class: "panel flush", "aria-label": "Deliveries" }, h("div", { class: "bar" }, filterBar(here, query, names, statuses), again), place);
}
