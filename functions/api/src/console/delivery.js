// One delivery: its attempts, its payload, and a button that sends it again.

import { change, get, raw } from "./api.js";
import { attemptsPanel } from "./attempts.js";
import { ending, outcome } from "./deliveries.js";
import { fill, h, icon } from "./dom.js";
import { breakable, plural, time } from "./format.js";
import { payloadPanel } from "./payload.js";
import { can } from "./portal.js";
import { button, copyable, fact, link, pill, toast, working } from "./widgets.js";

const FIRST_LOOK_MS = 1_500;
const LAST_LOOK_MS = 15_000;

function factsPanel(delivery, endpoint, home) {
  const last = delivery.last_attempt;
  return h(
    "section",
    { class: "panel", "aria-label": "About this delivery" },
    h(
      "dl",
      { class: "facts" },
      fact("Created", time(delivery.created_at)),
      fact("Updated", time(delivery.updated_at)),
      fact("Attempts", h("span", { class: "number" }, String(delivery.attempt_count))),
      last && fact("Last attempt", ending(last)),
      delivery.next_retry_at && fact("Next attempt", time(delivery.next_retry_at)),
      delivery.failure_reason && fact("Failure reason", outcome(delivery)),
    ),
    h(
      "dl",
      { class: "facts ids" },
      fact(
        "Endpoint",
        link(breakable(endpoint.url), `${home}/endpoints/${endpoint.id}`, { class: "url clamped", title: endpoint.url }),
        endpoint.description && h("span", { class: "quiet break" }, ` ${endpoint.description}`),
      ),
      fact("Delivery", copyable(delivery.id, "the delivery id")),
      fact("Event", h("span", { class: "copyable" }, link(h("code", null, delivery.event_id), `${home}/events/${delivery.event_id}`))),
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
  const attempts = h("div");
  let payload = null;
  let payloadText = "";
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
  const look = async (asked = get(url, { signal })) => {
    const answer = await asked;
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
    fill(attempts, attemptsPanel(delivery, endpoint));
    // The parts of a payload stay folded as they are, until it is erased.
    const text = raw(answer, "payload");
    if (text !== payloadText) {
      payload?.remove();
      payload = payloadPanel(text, "It was erased with the receivers' answers, or the event was never accepted.");
    }
    payloadText = text;
    if (!payload.isConnected) parts.append(attempts, payload);
    parts.querySelector("[aria-label='About this delivery']")?.remove();
    parts.prepend(factsPanel(delivery, endpoint, home));
  };
  // Side by side: a page takes one round trip.
  const ahead = get(url, { signal });
  ahead.catch(() => {});
  const { json: endpoint } = await get(`${path}/webhooks/${endpointId}`, { signal });
  await look(ahead);
  const content = [
    link([icon("back"), "Deliveries of this endpoint"], `${home}/endpoints/${endpointId}`, { class: "crumb" }),
    h("div", { class: "head" }, h("div", { class: "title" }, title, under), actions),
    place,
    parts,
  ];
  return { title: `Delivery ${id.slice(-12)}`, content };
}
