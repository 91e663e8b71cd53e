// A list with filters, with pages, and with rows that update while deliveries are unfinished.

import { fill, h } from "./dom.js";
import { filterBar } from "./filters.js";
import { remember, remembered, settle } from "./places.js";
import { plural } from "./format.js";
import { button, empty, loading, problemBox, table } from "./widgets.js";

export const PAGE = 25;
const FIRST_LOOK_MS = 1_500;
const LAST_LOOK_MS = 60_000;
/** The pause between two looks while a list shows new rows as they come, and the time for which a new row is marked. */
const TAIL_MS = 3_000;
const NEW_MS = 20_000;

/** Whether a delivery may change within the next minute. */
export const isUnderWay = ({ status, next_retry_at: next }) =>
  status === "pending" || (status === "retrying" && Date.parse(next) < Date.now() + LAST_LOOK_MS);

const keyOf = (item) => item.id ?? item.event_id;

/** The switch of a list that shows new rows as they come. `mark` marks the rows that came while it is on. */
function tailOf(look) {
  const seen = new Map();
  const said = h("span", { class: "quiet tail-said", role: "status" });
  let isOn = false;
  let isFirst = true;
  const turn = () => {
    isOn = !isOn;
    toggle.setAttribute("aria-pressed", String(isOn));
    fill(said, isOn && "Shows new rows as they come");
    look();
  };
  const toggle = button("Live", turn, { kind: "small live", "aria-pressed": "false", title: "Looks for new deliveries every 3 seconds" });
  const mark = (data, elements) => {
    const fresh = data.filter((item) => !seen.has(keyOf(item)));
    for (const item of fresh) seen.set(keyOf(item), isOn && !isFirst ? Date.now() : 0);
    data.forEach((item, index) => elements[index].classList.toggle("fresh", seen.get(keyOf(item)) > Date.now() - NEW_MS));
    if (isOn && !isFirst && fresh.length)
      fill(said, fresh.length < PAGE ? plural(fresh.length, "new row") : "Only new rows. There may be more among the older ones");
    isFirst = false;
  };
  const wait = () => fill(said, "Waits while older rows are shown");
  return { element: h("span", { class: "tail" }, toggle, said), isOn: () => isOn, mark, wait };
}

/**
 * The list. `load({ filters, cursor })` resolves to `{ data, next_cursor }`. `row(item)` returns a table row with one link, or with an
 * element that can have the focus.
 * `isMoving(item)` says whether the item may change soon. The list calls `changed()` each time after it has read the first page.
 * A list that `hasTail` has a switch: while it is on, the list reads on and marks new rows.
 * Returns the `section` to show, and `freshen()`, which reads the rows again.
 */
export function log({ label, here, query, signal, headings, names, statuses, nothing, load, row, isMoving, changed, hasTail }) {
  const list = table(headings);
  const [body] = list.tBodies;
  let rows = new Map();
  const more = h("div", { class: "more" });
  const place = h("div", null, loading(`Loading ${label.toLowerCase()}`));
  let wait = FIRST_LOOK_MS;
  let timer = null;
  // The filters of the rows that are shown: a cursor belongs to its filters.
  let filters = {};
  let reading = 0;
  const tail = hasTail ? tailOf(() => refreshNow()) : null;

  // The button is never replaced: a button that is replaced between press and release loses the click.
  let older = null;
  const readOlder = async () => {
    const asked = reading;
    const page = await load({ filters, cursor: older });
    if (signal.aborted || asked !== reading) return null;
    const [first] = page.data.map((item) => body.appendChild(row(item)));
    offer(page.next_cursor);
    return first;
  };
  // A page that is asked for twice at once is shown once.
  let pending = null;
  const showOlder = () => {
    if (pending?.reading !== reading) pending = { reading, page: readOlder() };
    const mine = pending;
    return mine.page.finally(() => {
      if (pending === mine) pending = null;
    });
  };
  const next = button("Show older", async () => {
    next.setAttribute("aria-busy", "true");
    try {
      const first = await showOlder();
      (first?.querySelector("a") ?? first?.querySelector("[tabindex]"))?.focus();
      if (first) remember({ rows: body.children.length });
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
    timer = setTimeout(
      () => {
        if (signal.aborted) return undefined;
        wait = tail?.isOn() ? TAIL_MS : Math.min(wait * 1.5, LAST_LOOK_MS);
        // The rows stay while the person looks at older pages or at another tab.
        if (tail?.isOn() && hasPagedOn()) tail.wait();
        return document.hidden || hasPagedOn() ? follow() : refresh();
      },
      tail?.isOn() ? TAIL_MS : wait,
    );
  };
  // An unchanged row keeps its element: a row that is replaced between press and release loses the click.
  const showRows = (data) => {
    rows = new Map(data.map((item) => [JSON.stringify(item), item]).map(([shows, item]) => [shows, rows.get(shows) ?? row(item)]));
    const wanted = [...rows.values()];
    tail?.mark(data, wanted);
    for (const element of [...body.children]) if (!wanted.includes(element)) element.remove();
    wanted.forEach((element, index) => body.children[index] === element || body.insertBefore(element, body.children[index] ?? null));
  };
  const show = ({ data, next_cursor: cursor }) => {
    const focused = body.contains(document.activeElement) && document.activeElement.getAttribute("href");
    showRows(data);
    if (focused) body.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
    offer(cursor);
    const none = bar.isUsed()
      ? empty("Nothing matches", `No ${label.toLowerCase()} match these filters.`, button("Clear the filters", bar.clear))
      : nothing;
    // A search through very many rows may find nothing yet, and go on from its cursor.
    if (!data.length && !cursor) fill(place, none);
    else if (!place.contains(list)) fill(place, list, more);
    if (tail?.isOn() || data.some(isMoving)) follow();
    else clearTimeout(timer);
  };
  const refresh = async () => {
    reading += 1;
    const asked = reading;
    const wanted = bar.values();
    try {
      const page = await load({ filters: wanted });
      if (signal.aborted || asked !== reading) return false;
      filters = wanted;
      show(page);
      changed?.();
      return true;
    } catch (problem) {
      if (signal.aborted || problem.status === 401) throw problem;
      if (asked === reading) fill(place, problemBox(problem, refresh));
      if (tail?.isOn()) follow();
      return false;
    }
  };
  const refreshNow = () => {
    wait = FIRST_LOOK_MS;
    return refresh();
  };
  const bar = filterBar({ here, query, names, statuses, changed: refreshNow });
  const again = button("Refresh", refreshNow, { kind: "small ghost", mark: "retry" });
  /** The rows that the list had when the person left it. */
  const arrive = async () => {
    const had = remembered().rows ?? 0;
    let isMore = await refresh();
    while (isMore && older && body.children.length < had) isMore = await showOlder();
    settle();
  };
  arrive();
  const section = h(
    "section",
    { class: "panel flush", "aria-label": label },
    h("div", { class: "bar" }, bar.form, tail?.element, again),
    place,
  );
  return { section, freshen: () => hasPagedOn() || refresh() };
}
