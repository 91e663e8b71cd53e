// A list with filters that are kept in the address, with pages, and with rows that update while deliveries are unfinished.

import { fill, h } from "./dom.js";
import { button, empty, link, loading, problemBox, table } from "./widgets.js";

export const PAGE = 25;
const FIRST_LOOK_MS = 1_500;
const LAST_LOOK_MS = 60_000;

/** Converts RFC 3339 to the value of a local date and time input, and back. */
export const toLocal = (text) => {
  const at = new Date(text ?? "");
  return Number.isNaN(at.valueOf()) ? "" : new Date(at - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
};
export const fromLocal = (text) => (text ? new Date(text).toISOString() : "");

/** A bar of filters. Their values are kept in the address, so that Back, Forward and a copied address show the same rows. */
function filterBar(here, query, names, statuses) {
  const select = (name, label, options) => {
    const all = [
      h("option", { value: "" }, `Any ${label.toLowerCase()}`),
      ...options.map(([value, text]) => h("option", { value, selected: query.get(name) === value }, text)),
    ];
    return h("select", { name, "aria-label": label }, all);
  };
  const at = (name, label) =>
    h("label", null, h("span", null, label), h("input", { type: "datetime-local", name, value: toLocal(query.get(name)) }));
  const apply = (event) => {
    event.preventDefault();
    const next = new URLSearchParams();
    for (const [name, value] of new FormData(form))
      if (value) next.set(name, name === "since" || name === "until" ? fromLocal(value) : value);
    location.hash = next.size ? `${here}?${next}` : here;
  };
  const form = h(
    "form",
    { class: "filters", onsubmit: apply, onchange: apply, role: "search", "aria-label": "Filter" },
    statuses && select("status", "Status", statuses),
    select(
      "event_name",
      "Event",
      names.map((name) => [name, name]),
    ),
    at("since", "From"),
    at("until", "To"),
    query.size > 0 && link("Clear", here, { class: "clear" }),
  );
  return form;
}

/** Whether a delivery may change within the next minute. */
export const isUnderWay = ({ status, next_retry_at: next }) =>
  status === "pending" || (status === "retrying" && Date.parse(next) < Date.now() + LAST_LOOK_MS);

/**
 * The list. `load({ filters, cursor })` resolves to `{ data, next_cursor }`. `row(item)` returns a table row with one link.
 * `isMoving(item)` says whether the item may change soon. The list calls `changed()` each time after it has read the first page.
 * Returns the `section` to show, and `freshen()`, which reads the rows again.
 */
export function log({ label, here, query, signal, headings, names, statuses, nothing, load, row, isMoving, changed }) {
  const filters = Object.fromEntries(
    [...(statuses ? ["status"] : []), "event_name", "since", "until"].map((name) => [name, query.get(name) ?? ""]),
  );
  const isFiltered = Object.values(filters).some(Boolean);
  const list = table(headings);
  const [body] = list.tBodies;
  let rows = new Map();
  const more = h("div", { class: "more" });
  const place = h("div", null, loading(`Loading ${label.toLowerCase()}`));
  let wait = FIRST_LOOK_MS;
  let timer = null;

  // The button is never replaced: a button that is replaced between press and release loses the click.
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
      fill(
        more,
        problemBox(problem, () => offer(older)),
      );
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
      // The rows stay while the person looks at older pages or at another tab.
      return document.hidden || hasPagedOn() ? follow() : refresh();
    }, wait);
  };
  // An unchanged row keeps its element: a row that is replaced between press and release loses the click.
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
    const none = isFiltered
      ? empty("Nothing matches", `No ${label.toLowerCase()} match these filters.`, link("Clear the filters", here, { class: "button" }))
      : nothing;
    if (!data.length) fill(place, none);
    else if (!place.contains(list)) fill(place, list, more);
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
  const refreshNow = () => {
    wait = FIRST_LOOK_MS;
    return refresh();
  };
  const again = button("Refresh", refreshNow, { kind: "small ghost", mark: "retry" });
  refresh();
  const section = h(
    "section",
    { class: "panel flush", "aria-label": label },
    h("div", { class: "bar" }, filterBar(here, query, names, statuses), again),
    place,
  );
  return { section, freshen: () => hasPagedOn() || refresh() };
}
