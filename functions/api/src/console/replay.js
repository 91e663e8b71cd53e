// Replays: the form that starts one, its progress, and the list of those that were started.

import { change, get, Problem } from "./api.js";
import { formDialog } from "./dialogs.js";
import { fill, h } from "./dom.js";
import { eventNames } from "./event_names.js";
import { fromLocal, spanFault, toLocal } from "./filters.js";
import { absolute, plural, time } from "./format.js";
import { cell, empty, field, link, loading, mainCell, named, pill, problemBox, table, toast } from "./widgets.js";

const DAY_MS = 86_400_000;
const LOOK_MS = 1_500;
const PAUSE_MS = 350;
/** Counting reads pages of a hundred deliveries, and stops after this many. */
const PAGES_COUNTED = 5;
const PAGE = 100;
const STOPS = {
  endpoint_disabled: "the endpoint was disabled",
  endpoint_deleted: "the endpoint was deleted",
  internal: "an internal error of the service",
};

/** How many deliveries match, as text. */
async function count(path, { since, until, status, event_name: name }, signal) {
  let counted = 0;
  let cursor = null;
  for (let page = 0; page < PAGES_COUNTED; page += 1) {
    const query = { since, until, status, event_name: name, cursor, limit: PAGE, fields: "id" };
    const { json } = await get(`${path}/deliveries`, { query, signal });
    counted += json.data.length;
    cursor = json.next_cursor;
    if (!cursor) return plural(counted, "delivery matches", "deliveries match");
  }
  return `At least ${plural(counted, "delivery matches", "deliveries match")}`;
}

/** Asks which deliveries to send again. `done` gets the replay. */
export async function replayForm(path, done) {
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
    (await eventNames()).map((value) => h("option", { value }, value)),
  );
  const skipped = h("input", { type: "checkbox" });
  const counted = h("p", { class: "counted", role: "status" }, "Counting …");
  const read = () => {
    const asked = { since: fromLocal(since.value), status: status.value, include_skipped: skipped.checked };
    if (until.value) asked.until = fromLocal(until.value);
    if (name.value) asked.event_name = name.value;
    return asked;
  };
  const closed = new AbortController();
  let counting = 0;
  const recount = async () => {
    counting += 1;
    const mine = counting;
    const asked = read();
    const fault = spanFault(asked.since, asked.until);
    if (fault || !asked.since) return fill(counted, fault ?? "Choose a time to start from.");
    fill(counted, "Counting …");
    let said = "";
    try {
      said = await count(path, asked, closed.signal);
    } catch (problem) {
      if (closed.signal.aborted || problem.status === 401) throw problem;
      said = "The deliveries could not be counted";
    }
    if (mine !== counting) return undefined;
    return fill(counted, said, asked.include_skipped ? ", and the events that skipped this endpoint are not counted here." : ".");
  };
  let timer = null;
  const later = () => {
    clearTimeout(timer);
    timer = setTimeout(recount, PAUSE_MS);
  };
  const body = h(
    "div",
    { onchange: later },
    h("p", { class: "quiet" }, "Each matching delivery gets one more attempt. The replay does not go ahead of other deliveries."),
    h(
      "div",
      { class: "pair" },
      named("since", "From", field("Created from", since)),
      named("until", "To", field("To", until, "Empty means now.")),
    ),
    h("div", { class: "pair" }, field("Deliveries", status), field("Event", name)),
    h(
      "div",
      { class: "checks plain" },
      h(
        "label",
        null,
        skipped,
        h("span", null, "Also events that were not sent here because the endpoint was disabled, not subscribed or filtered them out"),
      ),
    ),
    counted,
  );
  recount();
  await formDialog("Replay", body, {
    action: "Start replay",
    submit: async () => {
      const asked = read();
      const fault = spanFault(asked.since, asked.until);
      if (fault) throw new Problem(400, fault, { field: "since" });
      const { json } = await change("POST", `${path}/replay`, asked);
      toast("Replay started");
      done(json);
    },
  });
  closed.abort(new DOMException("the form is closed", "AbortError"));
}

function scopeOf({ filter }) {
  const what = filter.status === "failed" ? "Failed deliveries" : "Successful deliveries";
  const skipped = filter.include_skipped ? ", and events that skipped this endpoint" : "";
  return `${what} of ${filter.event_name ?? "any event"}, ${absolute(filter.since)} to ${absolute(filter.until)}${skipped}`;
}

/** The progress of a replay, updated until the replay ends. */
export function replayPanel({ url, id, here, signal, changed }) {
  const place = h(
    "section",
    { class: "panel", "aria-label": "Replay", "aria-live": "polite" },
    h("h2", null, "Replay"),
    h("p", { class: "quiet" }, "Loading"),
  );
  const show = (replay) => {
    fill(
      place,
      h(
        "div",
        { class: "under-title" },
        h("h2", null, "Replay"),
        pill(replay.status),
        h("span", { class: "number" }, `${plural(replay.matched, "match", "matches")} found, ${replay.replayed} sent again`),
        link("All replays", `${here}?tab=replays`),
      ),
      h("p", { class: "quiet" }, `${scopeOf(replay)}.`),
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

/** The endpoint's latest replays. */
export function replayList({ url, here, signal }) {
  const place = h("section", { class: "panel flush", "aria-label": "Replays" }, loading("Loading replays"));
  const row = (replay) =>
    h(
      "tr",
      null,
      mainCell(link(scopeOf(replay), `${here}?replay=${replay.id}`, { class: "break" })),
      cell("Status", "status", pill(replay.status)),
      cell("Found", "number", String(replay.matched)),
      cell("Sent again", "number", String(replay.replayed)),
      cell("Started", "when", time(replay.created_at)),
    );
  const look = async () => {
    try {
      const { json } = await get(`${url}/replays`, { signal });
      const headings = [["Deliveries"], ["Status"], ["Found", "number"], ["Sent again", "number"], ["Started", "when"]];
      const none = empty("No replays yet", "A replay sends the failed deliveries of a period again.");
      fill(place, json.length ? table(headings, json.map(row)) : none);
      if (json.some(({ status }) => status === "running")) setTimeout(() => signal.aborted || look(), LOOK_MS);
    } catch (problem) {
      if (signal.aborted || problem.status === 401) throw problem;
      fill(place, problemBox(problem, look));
    }
  };
  look();
  return place;
}
