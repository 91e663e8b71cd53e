// The deliveries of all endpoints of a project: a list that can show new ones as they come, and the failures by their causes.

import { get } from "./api.js";
import { causesPanel } from "./causes.js";
import { endpointLink, FIELDS, outcome, STATUSES } from "./deliveries.js";
import { eventNames } from "./event_names.js";
import { time } from "./format.js";
import { isUnderWay, log, PAGE } from "./log.js";
import { h } from "./dom.js";
import { cell, empty, link, mainCell, pill, shortId, tabs, viewHead } from "./widgets.js";

const HEADINGS = [["Event"], ["Endpoint"], ["Status"], ["Attempts", "number"], ["Outcome"], ["Created", "when"]];

/** The project's endpoints by id. An endpoint that was made since then is read with the next view. */
async function urlsOf(path, signal) {
  const { json } = await get(`${path}/webhooks`, { signal });
  return new Map(json.map(({ id, url }) => [id, url]));
}

function row(delivery, urls, home) {
  const { id, webhook_endpoint_id: endpoint } = delivery;
  return h(
    "tr",
    null,
    mainCell(link(delivery.event_name, `${home}/endpoints/${endpoint}/deliveries/${id}`), shortId(id)),
    cell("Endpoint", "of-endpoint", endpointLink(endpoint, urls, home)),
    cell("Status", "status", pill(delivery.status)),
    cell("Attempts", "number", String(delivery.attempt_count)),
    cell("Outcome", "quiet break", h("span", null, outcome(delivery))),
    cell("Created", "when", time(delivery.created_at)),
  );
}

export async function projectDeliveriesView({ path, home, query, signal }) {
  const [urls, names] = await Promise.all([urlsOf(path, signal), eventNames()]);
  const here = `${home}/deliveries`;
  const tab = query.get("tab") === "causes" ? "causes" : "all";
  const parts = {
    all: () =>
      log({
        label: "Deliveries",
        ...{ here, query, signal },
        headings: HEADINGS,
        names,
        statuses: STATUSES,
        nothing: empty("No deliveries yet", "The deliveries to all endpoints of this project appear here."),
        load: async ({ filters, cursor }) =>
          (await get(`${path}/deliveries`, { query: { ...filters, limit: PAGE, cursor, fields: FIELDS }, signal })).json,
        row: (delivery) => row(delivery, urls, home),
        isMoving: isUnderWay,
        hasTail: true,
      }).section,
    causes: () => causesPanel({ path, home, here, query, signal, urls, names }),
  };
  const content = [
    viewHead("Deliveries", "To all endpoints of this project. Deliveries to deleted endpoints stay listed on their events."),
    tabs("Parts of the deliveries", tab, [
      ["all", "List", here],
      ["causes", "Failures by cause", `${here}?tab=causes`],
    ]),
    parts[tab](),
  ];
  return { title: "Deliveries", content };
}
