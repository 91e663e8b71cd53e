// Two drawings: the latest deliveries of an endpoint, and the attempts of a delivery. Position repeats the meaning of colour: a
// delivered delivery is a bar above the line, a failed one is a bar below the line, and a waiting one is a dot on the line.

import { h, svg } from "./dom.js";
import { absolute, plural, span } from "./format.js";

const STEP = 7;
const LABELS = { success: "delivered", failed: "failed", retrying: "retrying", pending: "pending" };

/** Counts deliveries by status. `rate` is the delivered share of the finished deliveries, or null if none has finished. */
export function tally(deliveries) {
  const count = (status) => deliveries.filter((delivery) => delivery.status === status).length;
  const [delivered, failed, retrying, pending] = ["success", "failed", "retrying", "pending"].map(count);
  const finished = delivered + failed;
  return { delivered, failed, retrying, pending, finished, rate: finished ? delivered / finished : null };
}

/** Rounds to whole percents, but shows 100 % and 0 % only for a rate that is exactly 1 or 0. */
export function percent(rate) {
  const rounded = Math.round(rate * 100);
  if (rounded === 100 && rate < 1) return "99 %";
  if (rounded === 0 && rate > 0) return "1 %";
  return `${rounded} %`;
}

export function deliveriesChart(newestFirst, slots) {
  const { delivered, failed, retrying, pending } = tally(newestFirst);
  const counts = [
    [delivered, "delivered"],
    [failed, "failed"],
    [retrying + pending, "waiting"],
  ];
  const label = counts
    .filter(([count]) => count)
    .map(([count, name]) => `${count} ${name}`)
    .join(", ");
  const shown = newestFirst.slice(0, slots).reverse();
  const offset = slots - shown.length;
  const mark = (delivery, index) => {
    const x = (offset + index) * STEP + 1;
    const title = svg("title", null, `${delivery.event_name}, ${LABELS[delivery.status]}, ${absolute(delivery.created_at)}`);
    if (delivery.status === "success") return svg("rect", { class: "good", x, y: 2, width: 5, height: 15, rx: 1.5 }, title);
    if (delivery.status === "failed") return svg("rect", { class: "bad", x, y: 19, width: 5, height: 11, rx: 1.5 }, title);
    return svg("circle", { class: delivery.status === "retrying" ? "warn" : "calm", cx: x + 2.5, cy: 18, r: 2.5 }, title);
  };
  const gaps = Array.from({ length: offset }, (_, slot) => svg("circle", { class: "gap", cx: slot * STEP + 3.5, cy: 18, r: 1 }));
  return svg(
    "svg",
    {
      class: "bars",
      viewBox: `0 0 ${slots * STEP} 32`,
      role: "img",
      "aria-label": `Latest ${plural(shown.length, "delivery", "deliveries")}: ${label || "none"}`,
    },
    gaps,
    shown.map(mark),
  );
}

const GAP = 108;

export const TRIGGERS = { auto: "automatic", manual: "manual" };

/** Draws the attempts from left to right with the times between them, and the next attempt if one is scheduled. */
export function timeline(delivery) {
  const points = delivery.attempts.map((attempt) => ({ attempt, at: Date.parse(attempt.created_at) }));
  if (delivery.next_retry_at) points.push({ attempt: null, at: Date.parse(delivery.next_retry_at) });
  if (!points.length) return null;
  const x = (index) => 34 + index * GAP;
  const node = ({ attempt, at }, index) => {
    const parts = [];
    if (index) {
      const from = points[index - 1].at;
      parts.push(svg("line", { class: attempt ? "track" : "track next", x1: x(index - 1) + 12, x2: x(index) - 12, y1: 26, y2: 26 }));
      parts.push(svg("text", { class: "between", x: x(index) - GAP / 2, y: 17 }, `+${span(Math.max(at - from, 0))}`));
    }
    const tone = !attempt ? "warn" : attempt.success ? "good" : "bad";
    parts.push(svg("circle", { class: `node ${tone}`, cx: x(index), cy: 26, r: 11 }));
    const sign = !attempt ? "M-3 0h.01M0 0h.01M3 0h.01" : attempt.success ? "M-4 0l3 3 5-6" : "M-3-3l6 6M3-3l-6 6";
    parts.push(svg("path", { class: "sign", d: sign, transform: `translate(${x(index)} 26)` }));
    const said = !attempt ? "next" : (attempt.http_status ?? "no response");
    parts.push(svg("text", { class: "under", x: x(index), y: 54 }, String(said)));
    parts.push(svg("text", { class: "below", x: x(index), y: 69 }, attempt ? TRIGGERS[attempt.triggered_by] : TRIGGERS.auto));
    return svg("g", null, svg("title", null, `${attempt ? `Attempt ${attempt.attempt_number}` : "Next attempt"}, ${absolute(at)}`), parts);
  };
  const width = x(points.length - 1) + 34;
  const label = `${plural(delivery.attempts.length, "attempt")}${delivery.next_retry_at ? ", and the next one is scheduled" : ""}; each is listed below`;
  const drawing = svg(
    "svg",
    { class: "timeline", viewBox: `0 0 ${width} 76`, width, height: 76, role: "img", "aria-label": label },
    points.map(node),
  );
  return h(
    "div",
    { class: "scroll-x", tabindex: points.length > 3 ? "0" : null, role: "group", "aria-label": "Timeline of attempts" },
    drawing,
  );
}
