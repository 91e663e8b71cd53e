// All endpoints of a project, each with a summary of its health.

import { get } from "./api.js";
import { deliveriesChart, percent, tally } from "./charts.js";
import { fill, h } from "./dom.js";
import { createEndpoint } from "./endpoint_forms.js";
import { breakable, plural, time } from "./format.js";
import { can } from "./portal.js";
import { button, cell, empty, link, mainCell, pill, table, viewHead } from "./widgets.js";

const LATEST = 24;
const AT_ONCE = 4;

/** Runs the jobs, at most `AT_ONCE` at a time. */
async function inTurn(jobs) {
  const next = async () => {
    for (let job = jobs.shift(); job; job = jobs.shift()) await job();
  };
  await Promise.all(Array.from({ length: AT_ONCE }, next));
}

/** The delivered share of the finished deliveries, as text. */
export function rateText(deliveries) {
  const { delivered, finished, rate } = tally(deliveries);
  if (!deliveries.length) return h("span", { class: "quiet" }, "No deliveries yet");
  if (rate === null) return h("span", { class: "quiet" }, "None finished yet");
  return h(
    "span",
    { title: `${delivered} of the latest ${finished} finished deliveries` },
    h("b", null, percent(rate)),
    h("span", { class: "quiet" }, ` of ${finished}`),
  );
}

/** The rate limit as text, or null. */
export const limitText = ({ rate_limit_per_second: limit }) => limit && `${limit.toLocaleString("en")} per second`;

function row(endpoint, home) {
  const chart = cell("Latest deliveries", "chart", h("span", { class: "bone short" }));
  const rate = cell("Delivered", "number", "…");
  const last = cell("Last delivery", "when", "…");
  const failures = endpoint.consecutive_failures;
  const title = link(breakable(endpoint.url), `${home}/endpoints/${endpoint.id}`, { class: "url" });
  const chips = h(
    "span",
    { class: "chips" },
    endpoint.events.map((name) => h("span", { class: "chip" }, name)),
    limitText(endpoint) && h("span", { class: "chip" }, `at most ${limitText(endpoint)}`),
  );
  const element = h(
    "tr",
    null,
    mainCell(title, endpoint.description && h("span", { class: "quiet break" }, endpoint.description), chips),
    cell("Status", "status", pill(endpoint.status)),
    chart,
    rate,
    cell("Failures in a row", `number ${failures ? "bad-text" : ""}`, String(failures)),
    last,
  );
  const show = (deliveries) => {
    fill(chart, deliveriesChart(deliveries, LATEST));
    fill(rate, rateText(deliveries));
    fill(last, time(deliveries[0]?.created_at));
  };
  const fail = () => [chart, rate, last].forEach((each) => fill(each, h("span", { class: "quiet" }, "not available")));
  return { element, show, fail };
}

export async function endpointsView({ path, home, signal }) {
  const { json: endpoints } = await get(`${path}/webhooks`, { signal });
  const create = () =>
    createEndpoint(path, (made) => {
      location.hash = `${home}/endpoints/${made.id}?tab=verify`;
    });
  const newButton = (label) => can("change") && button(label, create, { kind: "primary", mark: "plus" });
  const rows = endpoints.map((endpoint) => row(endpoint, home));
  inTurn(
    endpoints.map((endpoint, index) => async () => {
      try {
        const { json } = await get(`${path}/webhooks/${endpoint.id}/deliveries`, { query: { limit: LATEST }, signal });
        rows[index].show(json.data);
      } catch (problem) {
        if (signal.aborted || problem.status === 401) throw problem;
        rows[index].fail();
      }
    }),
  );
  const active = endpoints.filter(({ status }) => status === "active").length;
  const headings = [
    ["Endpoint"],
    ["Status"],
    [`Latest ${LATEST} deliveries`],
    ["Delivered", "number"],
    ["Failures in a row", "number"],
    ["Last delivery", "when"],
  ];
  if (!endpoints.length) {
    const none = empty(
      "No endpoints yet",
      "An endpoint is a URL of yours. The service sends it the events that you choose.",
      newButton("Create the first endpoint"),
    );
    return { title: "Endpoints", content: [viewHead("Endpoints"), h("div", { class: "panel" }, none)] };
  }
  const list = table(
    headings,
    rows.map(({ element }) => element),
  );
  const content = [
    viewHead("Endpoints", `${plural(endpoints.length, "endpoint")}, ${active} active`, newButton("New endpoint")),
    h("div", { class: "panel flush" }, list),
  ];
  return { title: "Endpoints", content };
}
