// One delivery: its payload, its attempts, and a button that sends it again.

import { change, get, raw } from "./api.js";
import { timeline, TRIGGERS } from "./charts.js";
import { REASONS } from "./deliveries.js";
import { fill, h, icon, svg } from "./dom.js";
import { plural, size, span, time } from "./format.js";
import { byteLength, pretty } from "./json.js";
import { can } from "./portal.js";
import { button, copyable, copyButton, fact, link, pill, segments, toast, working } from "./widgets.js";

const FIRST_LOOK_MS = 1_500;
const LAST_LOOK_MS = 15_000;

/** The envelope, formatted or exactly as it was sent. */
export function payloadPanel(text) {
  const code = h("pre", { class: "code", tabindex: "0" });
  const ways = [
    ["Formatted", pretty],
    ["Raw", (each) => each],
  ];
  const choose = (index) => {
    code.classList.toggle("wrap", index === 1);
    fill(code, ways[index][1](text));
  };
  const names = ways.map(([name]) => name);
  const { element: tabs, press } = segments("Format of the payload", names, choose, "small");
  press(0);
  return h(
    "section",
    { class: "panel flush", "aria-labelledby": "payload-title" },
    h(
      "div",
      { class: "bar" },
      h("h2", { id: "payload-title" }, "Payload"),
      h("span", { class: "quiet" }, size(byteLength(text))),
      tabs,
      copyButton(() => text, "Copy", { what: "Copy the raw payload" }),
    ),
    code,
  );
}

function attemptItem(attempt, longest) {
  const status = attempt.http_status;
  const said = status ? `HTTP ${status}` : "No response";
  const mark = h("span", { class: `pill ${attempt.success ? "good" : "bad"}` }, icon(attempt.success ? "check" : "cross"), said);
  const bar = (kind, width) => svg("rect", { class: kind, width, height: 6, rx: 3 });
  const part = Math.max(6, (80 * attempt.duration_ms) / Math.max(longest, 1));
  const meter = svg("svg", { class: "meter", "aria-hidden": "true" }, bar("whole", 80), bar("part", part));
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
    attempt.error_message && h("p", { class: "error" }, attempt.error_message),
    attempt.response_body
      ? h(
          "pre",
          { class: "code answer wrap", tabindex: "0", "aria-label": `Response to attempt ${attempt.attempt_number}` },
          attempt.response_body,
        )
      : h("p", { class: "quiet" }, status ? "The response had no body." : ""),
  );
}

function attemptsPanel(delivery) {
  const longest = Math.max(...delivery.attempts.map(({ duration_ms: millis }) => millis));
  const items = delivery.attempts.map((attempt) => attemptItem(attempt, longest)).reverse();
  return h(
    "section",
    { class: "panel", "aria-labelledby": "attempts-title" },
    h("h2", { id: "attempts-title" }, "Attempts"),
    timeline(delivery),
    items.length ? h("ol", { class: "attempts", reversed: true }, items) : h("p", { class: "quiet" }, "No attempt yet."),
  );
}

function factsPanel(delivery, home) {
  return h(
    "section",
    { class: "panel", "aria-label": "About this delivery" },
    h(
      "dl",
      { class: "facts" },
      fact("Created", time(delivery.created_at)),
      fact("Updated", time(delivery.updated_at)),
      fact("Attempts", h("span", { class: "number" }, String(delivery.attempt_count))),
      delivery.next_retry_at && fact("Next attempt", time(delivery.next_retry_at)),
      delivery.failure_reason && fact("Failure reason", REASONS[delivery.failure_reason] ?? delivery.failure_reason),
    ),
    h(
      "dl",
      { class: "facts ids" },
      fact("Delivery", copyable(delivery.id, "the delivery id")),
      fact("Event", link(h("code", null, delivery.event_id), `${home}/events/${delivery.event_id}`)),
    ),
  );
}

export async function deliveryView({ path, home, ids: [endpointId, id], signal }) {
  const url = `${path}/webhooks/${endpointId}/deliveries/${id}`;
  const title = h("h1", { tabindex: "-1" });
  const under = h("div", { class: "under-title" });
  const actions = h("div", { class: "buttons" });
  const place = h("div");
  const parts = h("div", { class: "stack" });
  let shown = "";
  let wait = FIRST_LOOK_MS;
  const retry = async () => {
    await working(actions.querySelector("button"), place, async () => {
      await change("POST", `${url}/retry`);
      toast("Another attempt was started");
      wait = FIRST_LOOK_MS;
      await look();
    });
  };
  const follow = () =>
    setTimeout(() => {
      wait = Math.min(wait * 1.5, LAST_LOOK_MS);
      if (signal.aborted) return undefined;
      return document.hidden
        ? follow()
        : look().catch((problem) => {
            if (signal.aborted || problem.status === 401) throw problem;
            follow();
          });
    }, wait);
  const look = async () => {
    const answer = await get(url, { signal });
    const delivery = answer.json;
    const isFinal = delivery.status === "success" || delivery.status === "failed";
    if (!isFinal) follow();
    if (answer.text === shown) return;
    shown = answer.text;
    fill(title, delivery.event_name);
    fill(under, pill(delivery.status), h("span", { class: "quiet" }, plural(delivery.attempt_count, "attempt")));
    fill(
      actions,
      isFinal
        ? can("change") &&
            button(delivery.status === "failed" ? "Retry now" : "Send again", retry, {
              kind: delivery.status === "failed" ? "primary" : "",
              mark: "retry",
            })
        : h("p", { class: "quiet" }, "This page updates by itself"),
    );
    fill(parts, factsPanel(delivery, home), attemptsPanel(delivery), payloadPanel(raw(answer, "payload")));
  };
  await look();
  const content = [
    link([icon("back"), "Deliveries of this endpoint"], `${home}/endpoints/${endpointId}`, { class: "crumb" }),
    h("div", { class: "head" }, h("div", { class: "title" }, title, under), actions),
    place,
    parts,
  ];
  return { title: `Delivery ${id.slice(-12)}`, content };
}
