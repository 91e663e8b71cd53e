// What goes wrong in a project: its failed and retrying deliveries, grouped by cause and endpoint.

import { get } from "./api.js";
import { endpointLink, ending, outcome } from "./deliveries.js";
import { fill, h } from "./dom.js";
import { filterBar } from "./filters.js";
import { plural, time } from "./format.js";
import { button, cell, empty, link, loading, mainCell, problemBox, table } from "./widgets.js";

const PAGE = 100;
const FIELDS = "id,webhook_endpoint_id,event_name,status,failure_reason,created_at,last_attempt";
const HEADINGS = [["Cause"], ["Endpoint"], ["Failed", "number"], ["Retrying", "number"], ["Newest", "when"]];
const STATUSES = ["failed", "retrying"];

const causeOf = (delivery) => (delivery.status === "failed" ? outcome(delivery) : delivery.last_attempt && ending(delivery.last_attempt));

/** The deliveries by cause and endpoint, the largest group first. */
export function grouped(deliveries) {
  const groups = new Map();
  for (const delivery of deliveries) {
    const cause = causeOf(delivery) || "No attempt yet";
    const key = JSON.stringify([cause, delivery.webhook_endpoint_id]);
    const group = groups.get(key) ?? { cause, endpoint: delivery.webhook_endpoint_id, failed: 0, retrying: 0, newest: delivery };
    group[delivery.status] += 1;
    if (delivery.created_at > group.newest.created_at) group.newest = delivery;
    groups.set(key, group);
  }
  return [...groups.values()].sort((one, other) => other.failed + other.retrying - one.failed - one.retrying);
}

/** How many deliveries the groups are made of. */
function lookedAt(pages) {
  const part = (status) => {
    const { data, cursor } = pages[status];
    const count = plural(data.length, `${status} delivery`, `${status} deliveries`);
    return cursor ? `the latest ${count}` : data.length ? `all ${count}` : `no ${status} delivery`;
  };
  return `Looked at ${part("failed")} and ${part("retrying")}.`;
}

export function causesPanel({ path, home, here, query, signal, urls, names }) {
  const place = h("div", null, loading("Looking at failures"));
  let pages = null;
  let reading = 0;
  const readNext = async (from, filters) => {
    const next = async (status) => {
      const { data, cursor } = from?.[status] ?? { data: [] };
      if (from && !cursor) return [status, from[status]];
      const asked = { ...filters, status, cursor, limit: PAGE, fields: FIELDS };
      const { json } = await get(`${path}/deliveries`, { query: asked, signal });
      return [status, { data: [...data, ...json.data], cursor: json.next_cursor }];
    };
    return Object.fromEntries(await Promise.all(STATUSES.map(next)));
  };
  const row = ({ cause, endpoint, failed, retrying, newest }) =>
    h(
      "tr",
      null,
      mainCell(h("span", { class: "break" }, cause)),
      cell("Endpoint", "of-endpoint", endpointLink(endpoint, urls, home)),
      cell("Failed", "number", String(failed)),
      cell("Retrying", "number", String(retrying)),
      cell("Newest", "when", link(time(newest.created_at), `${home}/endpoints/${endpoint}/deliveries/${newest.id}`)),
    );
  const show = (filters) => {
    const all = STATUSES.flatMap((status) => pages[status].data);
    const hasMore = STATUSES.some((status) => pages[status].cursor);
    const further = button("Look further back", () => read(pages, filters, further));
    const none = empty(
      "No failures",
      bar.isUsed()
        ? "No delivery that matches these filters failed or waits for a retry."
        : "No delivery failed, and none waits for a retry.",
    );
    fill(
      place,
      all.length ? table(HEADINGS, grouped(all).map(row)) : none,
      h("p", { class: "quiet inset", role: "status" }, lookedAt(pages)),
      hasMore && h("div", { class: "more" }, further),
    );
  };
  const read = async (from, filters, pressed) => {
    reading += 1;
    const asked = reading;
    pressed?.setAttribute("aria-busy", "true");
    try {
      const found = await readNext(from, filters);
      if (signal.aborted || asked !== reading) return;
      pages = found;
      show(filters);
    } catch (problem) {
      if (signal.aborted || problem.status === 401) throw problem;
      if (asked === reading)
        fill(
          place,
          problemBox(problem, () => read(from, filters)),
        );
    }
  };
  const refresh = () => read(null, bar.values());
  const bar = filterBar({ here, query, names, changed: refresh });
  refresh();
  const again = button("Refresh", refresh, { kind: "small ghost", mark: "retry" });
  return h("section", { class: "panel flush", "aria-label": "Failures by cause" }, h("div", { class: "bar" }, bar.form, again), place);
}
