// What happened at an endpoint, hour by hour: drawings, and a table of the same numbers. Position repeats the meaning of colour:
// successes stand above the line, and failures hang below it.

import { get } from "./api.js";
import { percent } from "./charts.js";
import { fill, h, svg } from "./dom.js";
import { absolute, plural, span } from "./format.js";
import { problemBox, segments, table } from "./widgets.js";

const HOUR = 3_600_000;
/** The parts of an hour from the line outwards. */
const ABOVE = [["delivered", "good"]];
const BELOW = [
  ["failed", "bad"],
  ["retried", "warn"],
];
const NONE = { delivered: 0, failed: 0, retried: 0, attempts: 0, duration_ms: { p50: null, p95: null } };
const PERIODS = [
  ["Day", 24],
  ["Week", 24 * 7],
];
const BAR = 7;
const KEYS = [
  ["good", "delivered"],
  ["bad", "failed"],
  ["warn", "attempts that failed and were retried"],
];

const CLOCK = new Intl.DateTimeFormat(undefined, { weekday: "short", hour: "2-digit", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric", month: "short" });

/** Every hour of the answer, those in which nothing happened too. The API leaves them out. */
function everyHour({ since, until, hours }) {
  const known = new Map(hours.map((each) => [Date.parse(each.hour), each]));
  const first = Date.parse(since);
  return Array.from({ length: Math.round((Date.parse(until) - first) / HOUR) }, (_, index) => {
    const at = first + index * HOUR;
    return { ...NONE, ...known.get(at), at };
  });
}

function emptyDay() {
  const until = Math.floor(Date.now() / HOUR + 1) * HOUR;
  return { since: new Date(until - 24 * HOUR).toISOString(), until: new Date(until).toISOString(), hours: [], total: NONE };
}

const sum = (counts, parts) => parts.reduce((total, [name]) => total + counts[name], 0);
const most = (numbers) => Math.max(0, ...numbers);
const figure = (number) => number.toLocaleString("en");

/** `1,204 delivered, 3 failed, 12 retried`; null when nothing happened. */
function said(counts) {
  const parts = [...ABOVE, ...BELOW].filter(([name]) => counts[name]).map(([name]) => `${figure(counts[name])} ${name}`);
  return parts.length ? parts.join(", ") : null;
}

function hourTitle(hour) {
  const { p50, p95 } = hour.duration_ms;
  const took = p50 === null ? "" : `; half within ${span(p50)}, 95 % within ${span(p95)}`;
  return svg("title", null, `${CLOCK.format(hour.at)}: ${said(hour) ?? "nothing"}${took}`);
}

/** The count for a height of one, so that all hours fit into `up` above the line and `down` below it. */
function scaleOf(hours, up, down) {
  const highest = (parts) => most(hours.map((hour) => sum(hour, parts)));
  return most([highest(ABOVE) / up, highest(BELOW) / down]);
}

function bars(hours, up, down) {
  const scale = scaleOf(hours, up, down);
  const stack = (hour, index, parts, direction) => {
    let from = up + direction;
    return parts.map(([name, tone]) => {
      if (!hour[name]) return null;
      const height = Math.max(hour[name] / scale, 1.5);
      const y = direction < 0 ? from - height : from;
      from += direction * height;
      return svg("rect", { class: tone, x: index * BAR + 1, y, width: BAR - 2, height });
    });
  };
  return hours.map((hour, index) => [stack(hour, index, ABOVE, -1), stack(hour, index, BELOW, 1)]);
}

/** A drawing for a list: the hours side by side, and their sum for screen readers. */
export function sparkline(stats) {
  const hours = everyHour(stats);
  const width = hours.length * BAR;
  const gaps = hours.map((hour, index) => !said(hour) && svg("circle", { class: "gap", cx: index * BAR + BAR / 2, cy: 20, r: 1 }));
  const label = `Last ${plural(hours.length, "hour")}: ${said(stats.total) ?? "nothing"}`;
  return svg("svg", { class: "bars", viewBox: `0 0 ${width} 32`, role: "img", "aria-label": label }, gaps, bars(hours, 20, 11));
}

/** The delivered share of the deliveries that ended, as text. */
export function shareText({ delivered, failed }) {
  const ended = delivered + failed;
  if (!ended) return h("span", { class: "quiet" }, "None finished");
  return h(
    "span",
    { title: `${figure(delivered)} of ${figure(ended)} deliveries that ended` },
    h("b", null, percent(delivered / ended)),
    h("span", { class: "quiet" }, ` of ${figure(ended)}`),
  );
}

/** A drawing with its scale at the left and its times below. The drawing fills the width, so texts stand outside of it. */
function framed(label, scale, hours, drawing) {
  const times = [hours[0], hours[Math.floor(hours.length / 2)], hours.at(-1)].map(({ at }) =>
    h("span", null, hours.length > 24 ? DAY.format(at) : CLOCK.format(at)),
  );
  return h(
    "figure",
    { class: "hourly" },
    h("figcaption", null, label),
    h(
      "div",
      { class: "scale quiet", "aria-hidden": "true" },
      scale.map((text) => h("span", null, text)),
    ),
    drawing,
    h("div", { class: "times quiet", "aria-hidden": "true" }, times),
  );
}

const hitAreas = (hours, height) =>
  hours.map((hour, index) => svg("rect", { class: "hour", x: index * BAR, y: 0, width: BAR, height }, hourTitle(hour)));

function countsChart(stats, hours) {
  const [up, down] = [70, 40];
  const scale = scaleOf(hours, up, down);
  const props = { viewBox: `0 0 ${hours.length * BAR} ${up + down}`, preserveAspectRatio: "none", role: "img" };
  const label = `Deliveries by the hour: ${said(stats.total) ?? "nothing"}`;
  const axis = svg("line", { class: "axis", x1: 0, x2: hours.length * BAR, y1: up, y2: up });
  const drawing = svg("svg", { ...props, class: "bars", "aria-label": label }, bars(hours, up, down), axis, hitAreas(hours, up + down));
  const ends = [up, down].map((height) => (scale ? figure(Math.round(height * scale)) : ""));
  return framed("Deliveries by the hour", ends, hours, drawing);
}

/** A line through the hours with attempts. It ends where an hour has none. */
function line(hours, name, height, top) {
  const y = (millis) => height - 2 - (millis / top) * (height - 6);
  const runs = [[]];
  hours.forEach(({ duration_ms: took }, index) => {
    if (took[name] === null) runs.push([]);
    else runs.at(-1).push([index * BAR + BAR / 2, y(took[name])]);
  });
  return runs
    .filter((run) => run.length)
    .map((run) => {
      const points = run.map((point) => point.join(",")).join(" ");
      // A line through a single hour would be a point, which nobody sees.
      const [[x, at]] = run;
      return svg("polyline", { class: name, points: run.length > 1 ? points : `${x - BAR / 2},${at} ${x + BAR / 2},${at}` });
    });
}

function durationsChart(stats, hours) {
  const height = 60;
  const top = most(hours.map(({ duration_ms: took }) => took.p95 ?? 0)) || 1;
  const { p50, p95 } = stats.total.duration_ms;
  const answers = p50 === null ? "no attempts" : `half within ${span(p50)}, 95 % within ${span(p95)}`;
  const props = { class: "lines", viewBox: `0 0 ${hours.length * BAR} ${height}`, preserveAspectRatio: "none", role: "img" };
  const axis = svg("line", { class: "axis", x1: 0, x2: hours.length * BAR, y1: height - 1, y2: height - 1 });
  const lines = ["p95", "p50"].map((name) => line(hours, name, height, top));
  const drawing = svg("svg", { ...props, "aria-label": `Time to answer: ${answers}` }, axis, lines, hitAreas(hours, height));
  return framed(`Answers: ${answers}`, stats.total.attempts ? [span(top), "0 ms"] : ["", ""], hours, drawing);
}

function numbersTable({ hours }) {
  const headings = [
    ["Hour"],
    ["Delivered", "number"],
    ["Failed", "number"],
    ["Retried", "number"],
    ["Half within", "number"],
    ["95 % within", "number"],
  ];
  const numberCell = (text) => h("td", { class: "number" }, text);
  const row = ({ hour, delivered, failed, retried, duration_ms: took }) =>
    h(
      "tr",
      null,
      h("th", { scope: "row" }, absolute(hour)),
      [delivered, failed, retried].map((count) => numberCell(figure(count))),
      [took.p50, took.p95].map((millis) => numberCell(millis === null ? "–" : span(millis))),
    );
  const list = table(headings, hours.map(row).reverse());
  list.classList.add("comparison", "numbers");
  return list;
}

function legend() {
  const key = (tone, text) => h("span", null, h("span", { class: `key ${tone}` }), text);
  return h(
    "p",
    { class: "legend quiet" },
    KEYS.map(([tone, text]) => key(tone, text)),
    key("line-p50", "half of the attempts"),
    key("line-p95", "95 % of the attempts"),
  );
}

/** The panel of an endpoint's page. Without statistics in this deployment it stays hidden. */
export function statsPanel(url, signal) {
  const place = h("div");
  const numbers = h("div", { class: "scroll-x by-hour", tabindex: "0", role: "group", "aria-label": "Counts by the hour" });
  let [chosen, shown] = [0, null];
  const showNumbers = () => fill(numbers, shown && details.open ? numbersTable(shown) : null);
  const details = h("details", { class: "request", ontoggle: showNumbers }, h("summary", null, "Show as a table"), numbers);
  const draw = (stats) => {
    const hours = everyHour(stats);
    fill(place, countsChart(stats, hours), durationsChart(stats, hours), legend());
  };
  const show = async () => {
    const asked = chosen;
    place.setAttribute("aria-busy", "true");
    try {
      const since = new Date(Date.now() - (PERIODS[asked][1] - 1) * HOUR).toISOString();
      const { json: stats } = await get(`${url}/stats`, { query: { since }, signal });
      if (asked !== chosen) return;
      shown = stats;
      draw(stats);
      showNumbers();
      place.removeAttribute("aria-busy");
    } catch (problem) {
      if (signal.aborted || problem.status === 401) throw problem;
      panel.hidden = problem.status === 404;
      fill(place, problemBox(problem, show));
    }
  };
  const choose = (index) => {
    chosen = index;
    show();
  };
  const choice = segments(
    "Period",
    PERIODS.map(([name]) => name),
    choose,
  );
  const head = h("div", { class: "panel-head" }, h("h2", null, "Activity"), choice.element);
  const panel = h("section", { class: "panel", "aria-label": "Activity" }, head, place, details);
  // The numbers come later, and must move nothing.
  draw(emptyDay());
  choice.press(0);
  return { panel, show };
}

/** The counts of the last 24 hours by endpoint id; null where the deployment keeps none, or they cannot be read. */
export async function statsOfAll(path, signal) {
  try {
    const { json } = await get(`${path}/stats`, { signal });
    return new Map(json.data.map((each) => [each.webhook_endpoint_id, each]));
  } catch (problem) {
    if (signal.aborted || problem.status === 401) throw problem;
    return null;
  }
}
