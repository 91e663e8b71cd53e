// The accepted events. Each one shows its deliveries, and the endpoints that it skipped with the reasons.

import { get, raw } from "./api.js";
import { outcome } from "./deliveries.js";
import { fill, h, icon } from "./dom.js";
import { eventNames } from "./event_names.js";
import { eventTabs } from "./event_types.js";
import { breakable, plural, time } from "./format.js";
import { isUnderWay, log, PAGE } from "./log.js";
import { payloadPanel } from "./payload.js";
import { isPortal } from "./portal.js";
import { cell, copyable, empty, link, mainCell, pill, shortId, table, viewHead } from "./widgets.js";

const HEADINGS = [["Event"], ["Deliveries"], ["Skipped", "number"], ["Accepted", "when"]];
const LOOK_MS = 2_500;
// A page of payloads can have megabytes.
const FIELDS = "event_id,event_name,created_at,deliveries,skipped";
const REASONS = {
  endpoint_disabled: "the endpoint was disabled",
  not_subscribed: "the endpoint was not subscribed",
  filtered: "the endpoint's filter did not let it pass",
};

function counts(deliveries) {
  const kinds = [
    ["success", "delivered"],
    ["failed", "failed"],
    ["retrying", "retrying"],
    ["pending", "pending"],
  ];
  const parts = kinds
    .map(([status, said]) => [status, deliveries.filter((each) => each.status === status).length, said])
    .filter(([, count]) => count);
  if (!parts.length) return h("span", { class: "quiet" }, "none");
  return h(
    "span",
    { class: "chips" },
    parts.map(([status, count, said]) => h("span", { title: `${count} ${said}` }, pill(status, String(count), said))),
  );
}

export async function eventsView({ project, path, home, query, signal }) {
  const here = `${home}/events`;
  const row = (event) =>
    h(
      "tr",
      null,
      mainCell(link(event.event_name, `${here}/${event.event_id}`), shortId(event.event_id)),
      cell("Deliveries", "", counts(event.deliveries)),
      cell("Skipped", "number", String(event.skipped.length)),
      cell("Accepted", "when", time(event.created_at)),
    );
  const { section } = log({
    label: "Events",
    ...{ here, query, signal, row },
    headings: HEADINGS,
    names: await eventNames(),
    nothing: empty(
      "No events yet",
      "The events of your backend appear here, with their deliveries and the endpoints that they skipped.",
      !isPortal && link("How to post an event", `docs?project_id=${project}#createEvent`, { class: "button" }),
    ),
    load: async ({ filters, cursor }) =>
      (await get(`${path}/events`, { query: { ...filters, limit: PAGE, cursor, fields: FIELDS }, signal })).json,
    isMoving: ({ deliveries }) => deliveries.some(isUnderWay),
  });
  return {
    title: "Events",
    content: [viewHead("Events", "All accepted events, with or without deliveries."), eventTabs("events", home), section],
  };
}

function deliveriesPanel(event, urls, home) {
  const row = (delivery) => {
    const id = delivery.webhook_endpoint_id;
    const name = urls.has(id)
      ? link(breakable(urls.get(id)), `${home}/endpoints/${id}/deliveries/${delivery.id}`, { class: "url" })
      : h("span", { class: "quiet" }, "a deleted endpoint ", h("code", null, id));
    return h(
      "tr",
      null,
      mainCell(name),
      cell("Status", "status", pill(delivery.status)),
      cell("Attempts", "number", String(delivery.attempt_count)),
      cell("Outcome", "quiet break", h("span", null, outcome(delivery))),
      cell("Updated", "when", time(delivery.updated_at)),
    );
  };
  const headings = [["Endpoint"], ["Status"], ["Attempts", "number"], ["Outcome"], ["Updated", "when"]];
  const none = empty("No deliveries", "No active endpoint was subscribed to this event.");
  return h(
    "section",
    { class: "panel flush", "aria-label": "Deliveries" },
    h("div", { class: "bar" }, h("h2", null, "Deliveries")),
    event.deliveries.length ? table(headings, event.deliveries.map(row)) : none,
  );
}

function skippedPanel(event, urls, home) {
  if (!event.skipped.length) return null;
  const row = ({ webhook_endpoint_id: id, reason }) => {
    const name = urls.has(id)
      ? link(breakable(urls.get(id)), `${home}/endpoints/${id}`, { class: "url" })
      : h("code", { class: "quiet" }, id);
    return h("tr", null, mainCell(name), cell("Reason", "quiet", REASONS[reason] ?? reason));
  };
  return h(
    "section",
    { class: "panel flush", "aria-label": "Skipped endpoints" },
    h("div", { class: "bar" }, h("h2", null, "Skipped")),
    table([["Endpoint"], ["Reason"]], event.skipped.map(row)),
  );
}

export async function eventView({ path, home, ids: [id], signal }) {
  const url = `${path}/events/${id}`;
  const under = h("div", { class: "under-title" });
  const parts = h("div", { class: "stack" });
  const { json: endpoints } = await get(`${path}/webhooks`, { signal });
  const urls = new Map(endpoints.map((endpoint) => [endpoint.id, endpoint.url]));
  let shown = "";
  let payload = null;
  let payloadText = "";
  const follow = () =>
    setTimeout(() => {
      if (signal.aborted) return undefined;
      return look().catch((problem) => {
        if (signal.aborted || problem.status === 401) throw problem;
        follow();
      });
    }, LOOK_MS);
  const look = async () => {
    const answer = await get(url, { signal });
    const event = answer.json;
    if (event.deliveries.some(isUnderWay)) follow();
    if (answer.text === shown) return event;
    shown = answer.text;
    fill(
      under,
      h("span", { class: "quiet" }, "accepted ", time(event.created_at)),
      h("span", { class: "quiet" }, plural(event.deliveries.length, "delivery", "deliveries")),
      copyable(event.event_id, "the event id"),
    );
    // The parts of a payload stay folded as they are, until it is erased.
    const text = raw(answer, "payload");
    if (text !== payloadText) payload = payloadPanel(text);
    payloadText = text;
    for (const part of [...parts.children]) if (part !== payload) part.remove();
    parts.prepend(...[deliveriesPanel(event, urls, home), skippedPanel(event, urls, home)].filter(Boolean));
    if (!payload.isConnected) parts.append(payload);
    return event;
  };
  const event = await look();
  const content = [
    link([icon("back"), "Events"], `${home}/events`, { class: "crumb" }),
    h("div", { class: "head" }, h("div", { class: "title" }, h("h1", { tabindex: "-1" }, event.event_name), under)),
    parts,
  ];
  return { title: `Event ${id.slice(-12)}`, content };
}
