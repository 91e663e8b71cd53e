// One endpoint: its health, its actions, its deliveries, and how its receiver verifies them.

import { get, raw } from "./api.js";
import { deliveriesChart } from "./charts.js";
import { deliveryLog } from "./deliveries.js";
import { fill, h, icon } from "./dom.js";
import { deleteEndpoint, disableEndpoint, editEndpoint, enableEndpoint, rotateSecret, testEndpoint } from "./endpoint_forms.js";
import { breakable, plural, time } from "./format.js";
import { healthOf, lastAttempt, limitText, rateText, SUMMARY } from "./endpoints.js";
import { eventNames } from "./event_names.js";
import { settingsPanel } from "./endpoint_settings.js";
import { can } from "./portal.js";
import { replayForm, replayList, replayPanel } from "./replay.js";
import { statsPanel } from "./stats.js";
import { verifyPanel } from "./verify.js";
import { button, copyable, copyButton, fact, link, pill, problemBox, tabs, working } from "./widgets.js";

const LATEST = 60;
const KEYS = [
  ["good", "delivered (above the line)"],
  ["bad", "failed (below the line)"],
  ["warn", "waiting (on the line)"],
];

function notice(state, since, rest) {
  return h("div", { class: "notice" }, icon("pause"), h("p", null, h("b", null, state), time(since), rest));
}

function disabledNotice(endpoint) {
  if (endpoint.status !== "disabled") return null;
  const why = {
    manual: "This endpoint was disabled manually",
    consecutive_failures: `This endpoint was disabled after ${plural(endpoint.consecutive_failures, "delivery", "deliveries")} in a row failed`,
    gone: "This endpoint was disabled because its receiver answered 410 Gone",
  };
  return notice(
    `${why[endpoint.disabled_reason] ?? "This endpoint is disabled"}, `,
    endpoint.disabled_at,
    ". The service still accepts events, but it does not deliver them here. Enabling the endpoint resets its failures in a row.",
  );
}

function failingNotice(endpoint) {
  if (endpoint.status !== "active" || !endpoint.disables_at) return null;
  return notice(
    "This endpoint fails. The service disables it ",
    endpoint.disables_at,
    " if no delivery succeeds until then. Mend the receiver, and send a test event.",
  );
}

function hangingNotice(endpoint) {
  if (endpoint.status !== "active" || !endpoint.hanging_since) return null;
  return notice(
    "This endpoint has not answered since ",
    endpoint.hanging_since,
    ". The service tries it from time to time, and its other deliveries wait. A test event tries it at once.",
  );
}

async function showHealth(place, url, signal) {
  try {
    const { json } = await get(`${url}/deliveries`, { query: { limit: LATEST, fields: SUMMARY }, signal });
    fill(place.chart, deliveriesChart(json.data, LATEST));
    fill(place.rate, rateText(json.data));
    fill(place.last, lastAttempt(json.data));
  } catch (problem) {
    if (signal.aborted || problem.status === 401) throw problem;
    fill(
      place.chart,
      problemBox(problem, () => showHealth(place, url, signal)),
    );
  }
}

function health(endpoint, url, signal) {
  const place = {
    chart: h("div", { class: "wide-chart" }, h("span", { class: "bone" })),
    rate: h("span"),
    last: h("span", { class: "last-place" }),
  };
  const show = () => showHealth(place, url, signal);
  show();
  const failures = endpoint.consecutive_failures;
  const panel = h(
    "section",
    { class: "panel", "aria-label": "Health" },
    h(
      "dl",
      { class: "facts" },
      fact("Delivered", place.rate),
      fact("Failures in a row", h("span", { class: failures ? "bad-text" : "" }, String(failures))),
      fact("Last attempt", place.last),
      fact("Rate limit", limitText(endpoint) ?? h("span", { class: "quiet" }, "No limit")),
      fact("Created", time(endpoint.created_at)),
    ),
    place.chart,
    h(
      "p",
      { class: "legend quiet" },
      KEYS.map(([tone, text]) => h("span", null, h("span", { class: `key ${tone}` }), text)),
      h("span", { class: "push" }, "newest on the right"),
    ),
  );
  return { panel, show };
}

export async function endpointView({ path, home, ids: [id], query, signal, reload }) {
  const url = `${path}/webhooks/${id}`;
  const [answer, names] = await Promise.all([get(url, { signal }), eventNames()]);
  // A filter keeps its spelling, so it stays a text.
  const endpoint = { ...answer.json, filter: answer.json.filter && raw(answer, "filter") };
  const here = `${home}/endpoints/${id}`;
  const place = h("div");
  const enable = button("Enable", () => working(enable, place, () => enableEndpoint(url, reload)), { kind: "primary" });
  const leave = () => {
    location.hash = `${home}/endpoints`;
  };
  const tested = () => {
    if (location.hash === here) reload();
    else location.hash = here;
  };
  const replayed = (replay) => {
    location.hash = `${here}?replay=${replay.id}`;
  };
  const actions = [
    endpoint.status === "active" && button("Send test", () => testEndpoint(url, endpoint, tested), { mark: "send" }),
    endpoint.status === "active" && button("Replay", () => replayForm(url, replayed), { mark: "retry" }),
    button("Edit", () => editEndpoint({ path, url }, endpoint, reload)),
    endpoint.status === "active" ? button("Disable", () => disableEndpoint(url, endpoint, reload)) : enable,
    button("Rotate secret", () => rotateSecret(url, endpoint, reload)),
    button("Delete", () => deleteEndpoint(url, endpoint, leave), { kind: "danger-text" }),
  ];
  const tabNames = [
    ["deliveries", "Deliveries", here],
    ["replays", "Replays", `${here}?tab=replays`],
    ["verify", "Verify", `${here}?tab=verify`],
  ];
  const [[tab]] = tabNames.filter(([name]) => name === (query.get("tab") ?? "deliveries")).concat(tabNames);
  const { panel, show: showLatest } = health(endpoint, url, signal);
  const activity = statsPanel(url, signal);
  const show = () => {
    showLatest();
    activity.show();
  };
  const parts = {
    deliveries: () => deliveryLog({ url, here, names, events: endpoint.events, query, signal, changed: show }),
    replays: () => ({ section: replayList({ url, here, signal }), freshen: show }),
    verify: () => ({ section: verifyPanel(endpoint), freshen: show }),
  };
  const below = parts[tab]();
  const content = [
    link([icon("back"), "Endpoints"], `${home}/endpoints`, { class: "crumb" }),
    h(
      "div",
      { class: "head" },
      h(
        "div",
        { class: "title" },
        h("h1", { class: "url clamped", tabindex: "-1", title: endpoint.url }, breakable(endpoint.url)),
        endpoint.description && h("p", { class: "break" }, endpoint.description),
        h(
          "div",
          { class: "under-title" },
          pill(healthOf(endpoint)),
          h(
            "span",
            { class: "chips" },
            endpoint.events.map((name) => h("span", { class: "chip" }, name)),
          ),
          copyable(endpoint.id, "the endpoint id"),
          copyButton(() => endpoint.url, "Copy URL", { said: "URL copied" }),
        ),
      ),
      h("div", { class: "buttons" }, can("change") && actions),
    ),
    place,
    disabledNotice(endpoint),
    failingNotice(endpoint),
    hangingNotice(endpoint),
    query.has("replay") && replayPanel({ url, id: query.get("replay"), here, signal, changed: below.freshen }),
    panel,
    activity.panel,
    settingsPanel(endpoint),
    tabs("Parts of this endpoint", tab, tabNames),
    below.section,
  ];
  return { title: endpoint.url, content };
}
