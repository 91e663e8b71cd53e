// All endpoints of a project, each with a summary of its health. The failing ones come first.

import { get } from "./api.js";
import { percent, tally } from "./charts.js";
import { ending } from "./deliveries.js";
import { fill, h } from "./dom.js";
import { createEndpoint } from "./endpoint_forms.js";
import { absolute, breakable, plural, time } from "./format.js";
import { can } from "./portal.js";
import { shareText, sparkline, statsOfAll } from "./stats.js";
import { button, cell, empty, link, mainCell, pill, table, viewHead } from "./widgets.js";

/** A page of payloads can have megabytes. */
export const SUMMARY = "id,event_name,status,created_at,last_attempt";

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

/** How and when the latest attempt of these deliveries ended. */
export function lastAttempt(deliveries) {
  const attempts = deliveries.map((delivery) => delivery.last_attempt).filter(Boolean);
  const [last] = attempts.sort((one, other) => other.created_at.localeCompare(one.created_at));
  return attemptText(last, "never");
}

/** How and when an attempt ended; `none` where there is none. */
function attemptText(last, none) {
  if (!last) return h("span", { class: "last quiet" }, none);
  const isGood = last.http_status >= 200 && last.http_status < 300;
  return h(
    "span",
    { class: "last" },
    h("span", { class: isGood ? "" : "bad-text", title: last.error_message }, last.http_status ? ending(last) : "No response"),
    time(last.created_at),
    h("span", { class: "quiet absolute" }, absolute(last.created_at)),
  );
}

/** The rate limit as text, or null. */
export const limitText = ({ rate_limit_per_second: limit }) => limit && `${limit.toLocaleString("en")} per second`;

/** `disabled`, `failing` or `active`. An endpoint fails whose last delivery failed, or that does not answer at all. */
export const healthOf = ({ status, consecutive_failures: failures, hanging_since: hanging }) =>
  status === "active" && (failures > 0 || hanging) ? "failing" : status;

/** When the service will disable a failing endpoint, if it will. */
const endSoon = ({ status, disables_at: at }) =>
  status === "active" && at && h("span", { class: "quiet end-soon" }, "will be disabled ", time(at), " if nothing succeeds");

function row(endpoint, home, stats) {
  const failures = endpoint.consecutive_failures;
  const title = link(breakable(endpoint.url), `${home}/endpoints/${endpoint.id}`, { class: "url clamped", title: endpoint.url });
  const chips = h(
    "span",
    { class: "chips" },
    endpoint.events.map((name) => h("span", { class: "chip" }, name)),
    limitText(endpoint) && h("span", { class: "chip" }, `at most ${limitText(endpoint)}`),
  );
  const counted = stats?.get(endpoint.id);
  const quiet = h("span", { class: "quiet" }, "–");
  const element = h(
    "tr",
    null,
    mainCell(title, endpoint.description && h("span", { class: "quiet break" }, endpoint.description), chips),
    cell("Status", "status", pill(healthOf(endpoint)), endSoon(endpoint)),
    stats && cell("Last 24 hours", "chart", counted ? sparkline(counted) : quiet),
    stats && cell("Delivered", "number", counted ? shareText(counted.total) : quiet.cloneNode(true)),
    cell("Failures in a row", `number ${failures ? "bad-text" : ""}`, String(failures)),
    stats && cell("Last attempt", "when", attemptText(counted?.total.last_attempt, "none in 24 h")),
  );
  const text = [endpoint.url, endpoint.description, endpoint.id, ...endpoint.events].join(" ").toLowerCase();
  return { endpoint, element, text };
}

const HEALTH = ["failing", "active", "disabled"];
const byHealth = (one, other) => HEALTH.indexOf(healthOf(one)) - HEALTH.indexOf(healthOf(other));
const byUrl = (one, other) => one.url.localeCompare(other.url);
const byAge = (one, other) => one.id.localeCompare(other.id);
const ORDERS = [
  ["", "Failing first", (one, other) => byHealth(one, other) || byAge(one, other)],
  ["url", "By URL", byUrl],
  ["newest", "Newest first", (one, other) => byAge(other, one)],
  ["oldest", "Oldest first", byAge],
];
const SHOWN = [
  ["", "All"],
  ["failing", "Failing"],
  ["active", "Active"],
  ["disabled", "Disabled"],
];

/** What is searched for, kept in the address. `arrange` shows the rows that match, in their order. */
function tools(query, here, arrange) {
  const choice = (name, label, options) =>
    h(
      "select",
      { name, "aria-label": label },
      options.map(([value, text]) => h("option", { value, selected: query.get(name) === value }, text)),
    );
  const search = h("input", {
    type: "search",
    name: "q",
    placeholder: "Search URLs",
    "aria-label": "Search endpoints",
    value: query.get("q") ?? "",
  });
  const apply = () => {
    const asked = new URLSearchParams([...new FormData(form)].filter(([, value]) => value));
    history.replaceState(history.state, "", asked.size ? `${here}?${asked}` : here);
    arrange(asked);
  };
  const submit = (press) => press.preventDefault();
  const form = h(
    "form",
    { class: "filters", role: "search", "aria-label": "Endpoints", oninput: apply, onsubmit: submit },
    search,
    choice("show", "Status", SHOWN),
    choice("sort", "Order", ORDERS),
  );
  return h("div", { class: "bar" }, form);
}

export async function endpointsView({ path, home, query, signal }) {
  const [{ json: endpoints }, stats] = await Promise.all([get(`${path}/webhooks`, { signal }), statsOfAll(path, signal)]);
  const create = () =>
    createEndpoint({ path, tester: endpoints.length ? `${path}/webhooks/${endpoints[0].id}` : null }, (made) => {
      location.hash = `${home}/endpoints/${made.id}?tab=verify`;
    });
  const newButton = (label) => can("change") && button(label, create, { kind: "primary", mark: "plus" });
  if (!endpoints.length) {
    const none = empty(
      "No endpoints yet",
      "An endpoint is a URL of yours. The service sends it the events that you choose.",
      newButton("Create the first endpoint"),
    );
    return { title: "Endpoints", content: [viewHead("Endpoints"), h("div", { class: "panel" }, none)] };
  }
  const rows = endpoints.map((endpoint) => row(endpoint, home, stats));
  const headings = [
    ["Endpoint"],
    ["Status"],
    stats && ["Last 24 hours"],
    stats && ["Delivered", "number"],
    ["Failures in a row", "number"],
    stats && ["Last attempt", "when"],
  ].filter(Boolean);
  const list = table(headings, []);
  const none = h("p", { class: "empty", role: "status" });
  const arrange = (asked) => {
    const words = (asked.get("q") ?? "").toLowerCase().split(/\s+/).filter(Boolean);
    const isShown = ({ text, endpoint }) =>
      words.every((word) => text.includes(word)) && [null, "", healthOf(endpoint)].includes(asked.get("show"));
    const [, , order] = ORDERS.find(([name]) => name === asked.get("sort")) ?? ORDERS[0];
    const shown = rows.filter(isShown).sort((one, other) => order(one.endpoint, other.endpoint));
    fill(
      list.tBodies[0],
      shown.map(({ element }) => element),
    );
    list.hidden = !shown.length;
    none.hidden = shown.length > 0;
    fill(none, shown.length ? "" : "No endpoint matches.");
  };
  arrange(query);
  const count = (health) => endpoints.filter((endpoint) => healthOf(endpoint) === health).length;
  const failing = count("failing");
  const disabled = count("disabled");
  const under = [
    plural(endpoints.length, "endpoint"),
    `${endpoints.length - disabled} active`,
    failing && h("b", { class: "bad-text" }, `${failing} failing`),
    disabled && `${disabled} disabled`,
  ];
  const said = under.filter(Boolean).flatMap((part, index) => (index ? [", ", part] : [part]));
  const content = [
    viewHead("Endpoints", said, newButton("New endpoint")),
    h("div", { class: "panel flush" }, endpoints.length > 1 && tools(query, `${home}/endpoints`, arrange), list, none),
  ];
  return { title: "Endpoints", content };
}
