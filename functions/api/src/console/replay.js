// Replays: the form that starts one, and its progress.

import { change, EVENT_NAMES, get } from "./api.js";
import { formDialog } from "./dialogs.js";
import { fill, h } from "./dom.js";
import { absolute, plural } from "./format.js";
import { fromLocal, toLocal } from "./log.js";
import { field, pill, problemBox, toast } from "./widgets.js";

const DAY_MS = 86_400_000;
const LOOK_MS = 1_500;
const STOPS = {
  endpoint_disabled: "the endpoint was disabled",
  endpoint_deleted: "the endpoint was deleted",
  internal: "an internal error of the service",
};

/** Asks which deliveries to send again. `done` gets the replay. */
export function replayForm(path, done) {
  const since = h("input", { type: "datetime-local", value: toLocal(new Date(Date.now() - DAY_MS).toISOString()) });
  const until = h("input", { type: "datetime-local" });
  const status = h(
    "select",
    null,
    h("option", { value: "failed" }, "Failed deliveries"),
    h("option", { value: "success" }, "Successful deliveries"),
  );
  const name = h(
    "select",
    null,
    h("option", { value: "" }, "Any event"),
    EVENT_NAMES.map((value) => h("option", { value }, value)),
  );
  const skipped = h("input", { type: "checkbox" });
  const body = [
    h("p", { class: "quiet" }, "Each matching delivery gets one more attempt. The replay does not go ahead of other deliveries."),
    h("div", { class: "pair" }, field("Created from", since), field("To", until, "Empty means now.")),
    h("div", { class: "pair" }, field("Deliveries", status), field("Event", name)),
    h(
      "div",
      { class: "checks plain" },
      h("label", null, skipped, h("span", null, "Also events that were not sent here because the endpoint was disabled or not subscribed")),
    ),
  ];
  return formDialog("Replay", body, {
    action: "Start replay",
    submit: async () => {
      const asked = { since: fromLocal(since.value), status: status.value, include_skipped: skipped.checked };
      if (until.value) asked.until = fromLocal(until.value);
      if (name.value) asked.event_name = name.value;
      const { json } = await change("POST", `${path}/replay`, asked);
      toast("Replay started");
      done(json);
    },
  });
}

/** The progress of a replay, updated until the replay ends. */
export function replayPanel({ url, id, signal, changed }) {
  const place = h(
    "section",
    { class: "panel", "aria-label": "Replay", "aria-live": "polite" },
    h("h2", null, "Replay"),
    h("p", { class: "quiet" }, "Loading"),
  );
  const show = (replay) => {
    const { filter } = replay;
    const what = filter.status === "failed" ? "Failed deliveries" : "Successful deliveries";
    const scope = `${what} of ${filter.event_name ?? "any event"}, ${absolute(filter.since)} to ${absolute(filter.until)}${filter.include_skipped ? ", and events that skipped this endpoint" : ""}.`;
    fill(
      place,
      h(
        "div",
        { class: "under-title" },
        h("h2", null, "Replay"),
        pill(replay.status),
        h("span", { class: "number" }, `${plural(replay.matched, "match", "matches")} found, ${replay.replayed} sent again`),
      ),
      h("p", { class: "quiet" }, scope),
      replay.stop_reason &&
        h(
          "p",
          null,
          `The replay stopped. Reason: ${STOPS[replay.stop_reason] ?? replay.stop_reason}. Attempts that it has started continue.`,
        ),
    );
  };
  const look = async () => {
    try {
      const { json } = await get(`${url}/replays/${id}`, { signal });
      show(json);
      changed();
      if (json.status === "running") setTimeout(() => signal.aborted || look(), LOOK_MS);
    } catch (problem) {
      if (signal.aborted || problem.status === 401) throw problem;
      fill(place, problemBox(problem, look));
    }
  };
  look();
  return place;
}
