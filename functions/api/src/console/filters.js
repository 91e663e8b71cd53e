// The filters of a list. They are kept in the address, and a change leaves the rest of the view as it is: the focus, and a replay
// that is being watched.

import { fill, h } from "./dom.js";
import { button } from "./widgets.js";

// Arrow keys in a closed list choose one value after another.
const PAUSE_MS = 350;

const SPANS = [
  ["15m", "Last 15 minutes", 900_000],
  ["1h", "Last hour", 3_600_000],
  ["24h", "Last 24 hours", 86_400_000],
  ["7d", "Last 7 days", 604_800_000],
];
const NAMES = ["status", "event_name", "last", "since", "until"];
const BETWEEN = "between";

/** Converts RFC 3339 to the value of a local date and time input, and back. */
export const toLocal = (text) => {
  const at = new Date(text ?? "");
  return Number.isNaN(at.valueOf()) ? "" : new Date(at - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
};
export const fromLocal = (text) => (text ? new Date(text).toISOString() : "");

/** The fault of a span of time, or null. */
export const spanFault = (since, until) => (since && until && since >= until ? "From must be earlier than To." : null);

function select(name, label, options, value) {
  const choices = options.map(([each, text]) => h("option", { value: each, selected: each === value }, text));
  return h("select", { name, "aria-label": label }, choices);
}

/**
 * The bar of filters at the address `here`. A list without `names` has no events to choose among. The bar calls `changed()` after each
 * change. `values()` are the query values of this moment, and `isUsed()` says whether there are any.
 */
export function filterBar({ here, query, names, statuses, changed }) {
  const any = (label, options) => [["", `Any ${label}`], ...options];
  const status = statuses && select("status", "Status", any("status", statuses), query.get("status"));
  const named = names?.map((name) => [name, name]);
  const event = named && select("event_name", "Event", any("event", named), query.get("event_name"));
  const isBetween = query.has("since") || query.has("until");
  const spans = [["", "Any time"], ...SPANS, [BETWEEN, "From … to …"]];
  const span = select("span", "Time", spans, isBetween ? BETWEEN : (query.get("last") ?? ""));
  const at = (name, label) => {
    const input = h("input", { type: "datetime-local", name, value: toLocal(query.get(name)) });
    return [input, h("label", null, h("span", null, label), input)];
  };
  const [since, sinceField] = at("since", "From");
  const [until, untilField] = at("until", "To");
  const between = h("span", { class: "between" }, sinceField, untilField);
  const said = h("p", { class: "filter-fault", role: "alert" });
  const clear = button("Clear", () => set(new URLSearchParams()), { kind: "small ghost clear" });

  const chosen = () => {
    const found = {
      status: status?.value,
      event_name: event?.value,
      last: span.value === BETWEEN ? "" : span.value,
      since: span.value === BETWEEN ? fromLocal(since.value) : "",
      until: span.value === BETWEEN ? fromLocal(until.value) : "",
    };
    return new URLSearchParams(Object.entries(found).filter(([, value]) => value));
  };
  const kept = () => new URLSearchParams([...query].filter(([name]) => NAMES.includes(name)));
  const isUsed = () => kept().size > 0;
  const show = () => {
    between.hidden = span.value !== BETWEEN;
    clear.hidden = !isUsed();
  };
  const go = (filters) => {
    for (const name of NAMES) query.delete(name);
    for (const [name, value] of filters) query.set(name, value);
    history.pushState(null, "", query.size ? `${here}?${query}` : here);
    show();
    changed();
  };
  let timer = null;
  const apply = () => {
    clearTimeout(timer);
    show();
    const filters = chosen();
    const fault = spanFault(filters.get("since"), filters.get("until"));
    fill(said, fault);
    if (!fault && filters.toString() !== kept().toString()) go(filters);
  };
  const later = ({ target }) => {
    // A date and time is typed part by part, and is complete when the field is left.
    if (target.type === "datetime-local") return;
    show();
    clearTimeout(timer);
    timer = setTimeout(apply, PAUSE_MS);
  };
  const leave = ({ target }) => {
    if (target.type === "datetime-local") apply();
  };
  const enter = (press) => {
    if (press.key !== "Enter" || press.target.type !== "datetime-local") return;
    press.preventDefault();
    apply();
  };
  const set = (filters) => {
    form.reset();
    for (const each of [status, event, span]) if (each) each.value = filters.get(each.name) ?? "";
    since.value = "";
    until.value = "";
    fill(said);
    (event ?? span).focus();
    if (isUsed()) go(filters);
  };
  const values = () => {
    const { last, ...rest } = Object.fromEntries(kept());
    const [, , length] = SPANS.find(([name]) => name === last) ?? [];
    return length ? { ...rest, since: new Date(Date.now() - length).toISOString() } : rest;
  };
  const form = h(
    "form",
    { class: "filters", role: "search", "aria-label": "Filter", onchange: later, onfocusout: leave, onkeydown: enter },
    ...[status, event, span, between, clear, said],
  );
  show();
  return { form, values, isUsed, clear: () => set(new URLSearchParams()) };
}
