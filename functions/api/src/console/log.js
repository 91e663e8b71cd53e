// A list that grows: filters that live in the address, pages, and rows that follow what is under way.

import { fill, h } from "./dom.js";
import { button, empty, link, loading, problemBox } from "./widgets.js";

export const PAGE = 25;
const FIRST_LOOK_MS = 1_500;
const LAST_LOOK_MS = 60_000;

/** RFC 3339 to and from what a local date and time input holds. */
export const toLocal = (text) => {
  const at = new Date(text ?? "");
  return Number.isNaN(at.valueOf()) ? "" : new Date(at - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
};
export const fromLocal = (text) => (text ? new Date(text).toISOString() : "");

/** Filters as a bar of inputs that live in the address, so that back, forward and a copied address mean the same. */
function filterBar(here, query, names, statuses) {
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

/** Whether a delivery still changes by itself soon. */
export const isUnderWay = ({ status, next_retry_at: next }) => status === "pending" || (status === "retrying" && Date.parse(next) < Date.now() + LAST_LOOK_MS);

/**
 * The list. `load({ filters, cursor })` gives `{ data, next_cursor }`, `row(item)` a table row with one link,
 * `isMoving(item)` whether it changes by itself soon, and `changed()` is called when the first page was read again.
 * Gives the `section` to show, and `freshen()` for when something else made rows change.
 */
export function log({ label, here, query, signal, headings, names, statuses, nothing, load, row, isMoving, changed }) {
  const filters = Object.fromEntries([...(statuses ? ["status"] : []), "event_name", "since", "until"].map((name) => [name, query.get(name) ?? ""]));
  const isFiltered = Object.values(filters).some(Boolean);
  const body = h("tbody");
  let rows = new Map();
  const more = h("div", { class: "more" });
  const place = h("div", null, loading(`Loading ${label.toLowerCase()}`));
  const table = h("table", { class: "list" }, h("thead", null, h("tr", null, headings.map(([text, kind]) => h("th", { scope: "col", class: kind }, text)))), body);
  let wait = FIRST_LOOK_MS;
  let timer = null;

  // One button for good, as the rows are: a new one would lose the press that it is swapped under.
  let older = null;
  const next = button("Show older", async () => {
    next.setAttribute("aria-busy", "true");
    try {
      const page = await load({ filters, cursor: older });
      const [first] = page.data.map((item) => body.appendChild(row(item)));
      offer(page.next_cursor);
      first?.querySelector("a").focus();
    } catch (problem) {
      if (signal.aborted || problem.status === 401) throw problem;
      fill(more, problemBox(problem, () => offer(older)));
    } finally {
      next.removeAttribute("aria-busy");
    }
  });
  const offer = (cursor) => {
    older = cursor;
    if (!cursor) fill(more);
    else if (!more.contains(next)) fill(more, next);
  };
  const hasPagedOn = () => body.children.length > PAGE || next.hasAttribute("aria-busy");
  const follow = () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (signal.aborted) return undefined;
      wait = Math.min(wait * 1.5, LAST_LOOK_MS);
      // Not while someone has paged on or reads something else.
      return document.hidden || hasPagedOn() ? follow() : refresh();
    }, wait);
  };
  // A row that shows the same stays where it is: one that is swapped between press and release loses the click.
  const showRows = (data) => {
    rows = new Map(data.map((item) => [JSON.stringify(item), item]).map(([shows, item]) => [shows, rows.get(shows) ?? row(item)]));
    const wanted = [...rows.values()];
    for (const element of [...body.children]) if (!wanted.includes(element)) element.remove();
    wanted.forEach((element, index) => body.children[index] === element || body.insertBefore(element, body.children[index] ?? null));
  };
  const show = ({ data, next_cursor: cursor }) => {
    const focused = body.contains(document.activeElement) && document.activeElement.getAttribute("href");
    showRows(data);
    if (focused) body.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
    offer(cursor);
    const none = isFiltered ? empty("Nothing matches", "Nothing here matches these filters.", link("Clear the filters", here, { class: "button" })) : nothing;
    if (!data.length) fill(place, none);
    else if (!place.contains(table)) fill(place, table, more);
    if (data.some(isMoving)) follow();
  };
  const refresh = async () => {
    try {
      const page = await load({ filters });
      if (signal.aborted) return;
      show(page);
      changed?.();
    } catch (problem) {
      if (signal.aborted || problem.status === 401) throw problem;
      fill(place, problemBox(problem, refresh));
    }
  };
  const again = button("Refresh", () => ((wait = FIRST_LOOK_MS), refresh()), { kind: "small ghost", mark: "retry" });
  refresh();
  const section = h("section", { class: "panel flush", "aria-label": label }, h("div", { class: "bar" }, filterBar(here, query, names, statuses), again), place);
  return { section, freshen: () => hasPagedOn() || refresh() };
}
