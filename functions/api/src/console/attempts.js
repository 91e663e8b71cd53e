// The attempts of a delivery, with their requests and answers.

import { timeline, TRIGGERS } from "./charts.js";
import { compareAttempts } from "./compare.js";
import { h, icon, svg } from "./dom.js";
import { breakable, span, time } from "./format.js";
import { button } from "./widgets.js";

/** What makes two answers equal. */
const answerOf = ({ http_status: status, response_body: body, error_message: message, location }) =>
  JSON.stringify([status, body, message, location]);

/** The request as the service writes it. The signatures are left out: they are secret for as long as the secret is. */
function requestOf(delivery, endpoint, attempt) {
  const headers = [
    ["content-type", "application/json"],
    ["webhook-id", delivery.event_id],
    ["webhook-timestamp", String(Math.floor(Date.parse(attempt.created_at) / 1_000))],
    ["webhook-signature", "…"],
    ["x-echo-signature", "…"],
    ["x-echo-event", delivery.event_name],
    ["x-echo-delivery", delivery.id],
    ["x-echo-attempt", String(attempt.attempt_number)],
  ];
  const own = Object.keys(endpoint.headers);
  return h(
    "details",
    { class: "request" },
    h("summary", null, "Request"),
    h("p", { class: "break" }, h("b", null, "POST "), h("code", null, breakable(attempt.url ?? endpoint.url))),
    h(
      "dl",
      { class: "headers" },
      headers.map(([name, value]) => [h("dt", null, name), h("dd", { class: "break" }, value)]),
    ),
    h(
      "p",
      { class: "quiet" },
      "Also x-echo-event-time, x-echo-origin and user-agent. The signatures are not kept.",
      own.length > 0 && ` The endpoint's own headers are now: ${own.join(", ")}.`,
    ),
  );
}

function answer(attempt) {
  if (attempt.response_body) {
    return [
      h(
        "pre",
        { class: "code answer wrap", tabindex: "0", "aria-label": `Response to attempt ${attempt.attempt_number}` },
        attempt.response_body,
      ),
      attempt.response_truncated && h("p", { class: "quiet" }, "The answer goes on. The service keeps its first 1 KiB."),
    ];
  }
  return h("p", { class: "quiet" }, attempt.http_status ? "The response had no body." : "");
}

/** `newer` is the attempt after this one: an answer equal to the one above is folded. */
function attemptItem(attempt, { delivery, endpoint, longest, newer }) {
  const status = attempt.http_status;
  const said = status ? `HTTP ${status}` : "No response";
  const mark = h("span", { class: `pill ${attempt.success ? "good" : "bad"}` }, icon(attempt.success ? "check" : "cross"), said);
  const bar = (kind, width) => svg("rect", { class: kind, width, height: 6, rx: 3 });
  const part = Math.max(6, (80 * attempt.duration_ms) / Math.max(longest, 1));
  const meter = svg("svg", { class: "meter", "aria-hidden": "true" }, bar("whole", 80), bar("part", part));
  const isEqual = newer && answerOf(newer) === answerOf(attempt);
  return h(
    "li",
    null,
    h(
      "div",
      { class: "attempt" },
      h("b", { class: "ordinal" }, `#${attempt.attempt_number}`),
      mark,
      h("span", { class: "duration" }, meter, h("span", { class: "number" }, span(attempt.duration_ms))),
      h("span", { class: "quiet" }, TRIGGERS[attempt.triggered_by]),
      h("span", { class: "when" }, time(attempt.created_at)),
    ),
    attempt.url !== endpoint.url && h("p", { class: "break" }, "Sent to the endpoint's URL of that time: ", h("code", null, attempt.url)),
    isEqual
      ? h("p", { class: "quiet" }, `The same answer as to attempt ${newer.attempt_number}.`)
      : [
          attempt.error_message && h("p", { class: "error" }, attempt.error_message),
          attempt.location &&
            h("p", { class: "error" }, "Redirected to ", h("code", null, attempt.location), ". The service follows no redirect."),
          answer(attempt),
        ],
    requestOf(delivery, endpoint, attempt),
  );
}

export function attemptsPanel(delivery, endpoint) {
  const { attempts } = delivery;
  const longest = Math.max(...attempts.map(({ duration_ms: millis }) => millis));
  const items = attempts.map((attempt, index) => attemptItem(attempt, { delivery, endpoint, longest, newer: attempts[index + 1] }));
  const compare = button("Compare two", () => compareAttempts(attempts, endpoint.url), { kind: "small" });
  return h(
    "section",
    { class: "panel", "aria-labelledby": "attempts-title" },
    h("div", { class: "panel-head" }, h("h2", { id: "attempts-title" }, "Attempts"), attempts.length > 1 && compare),
    timeline(delivery),
    items.length ? h("ol", { class: "attempts", reversed: true }, items.reverse()) : h("p", { class: "quiet" }, "No attempt yet."),
  );
}
