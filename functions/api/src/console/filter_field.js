// The filter of an endpoint's form, and a test of it on recent events and on one that the person pastes.

import { change, get, Problem } from "./api.js";
import { fill, h, icon } from "./dom.js";
import { time } from "./format.js";
import { inside, pretty, rawField, spanAt, Written } from "./json.js";
import { isPortal } from "./portal.js";
import { button, field, named, working } from "./widgets.js";

const LATEST = 10;
const TOO_LARGE = 413;
const EXAMPLE = '{ "data": { "duration_seconds": [{ "numeric": [">", 60] }] } }';
const SAMPLE = '{ "event_name": "call.ended", "data": { "duration_seconds": 184 } }';

export const area = (value, props) =>
  h("textarea", { value, rows: 6, spellcheck: "false", autocomplete: "off", autocapitalize: "none", class: "json-input", ...props });

/** The JSON in a text, as it is written. */
export function jsonOf(text, called, name) {
  try {
    JSON.parse(text);
  } catch (error) {
    throw new Problem(400, `${called} is not JSON: ${error.message}`, { field: name });
  }
  return new Written(text);
}

const inWords = (message) => message.replace(/^(filter|event) /, "The $1 ").replace(/^event\./, "In the event, ");

function verdict(matches) {
  const [mark, tone, said] = matches ? ["check", "good", "Passes"] : ["skip", "off", "Filtered out"];
  return h("span", { class: `pill ${tone}` }, icon(mark), said);
}

/** The place in the text that a refusal such as "filter is wrong at $.data[0]: …" names. */
function selectPlace(input, message) {
  const [, path] = message.match(/ at (\$\S*?):? /) ?? [];
  if (path) input.setSelectionRange(...spanAt(input.value, path));
}

/** A test of the filter that `read()` returns, by the endpoint at `tester`. */
function testerOf({ path, tester, read, input }) {
  const place = h("div");
  const results = h("div", { role: "status" });
  const pasted = area("", { rows: 3, placeholder: SAMPLE });
  const ask = async (event) =>
    (await change("POST", `${tester}/filter/test`, { filter: read() ?? new Written("null"), event })).json.matches;
  const attempt = (element, work) =>
    working(element, place, async () => {
      fill(results);
      try {
        await work();
      } catch (problem) {
        if (problem.status === 400 && problem.message.startsWith("filter ")) selectPlace(input, problem.message);
        problem.message = inWords(problem.message);
        throw problem;
      }
    });
  const onOne = button(
    "Try on this event",
    () => attempt(onOne, async () => fill(results, verdict(await ask(jsonOf(pasted.value, "The event"))))),
    {
      kind: "small",
    },
  );
  const judged = async (event) => {
    try {
      return verdict(await ask(new Written(event.payload)));
    } catch (problem) {
      if (problem.status === TOO_LARGE) return h("span", { class: "quiet" }, "too large to try");
      throw problem;
    }
  };
  const latest = async () => {
    const answer = await get(`${path}/events`, { query: { limit: LATEST, fields: "event_id,event_name,created_at,payload" } });
    const texts = inside(rawField(answer.text, "data"));
    const events = answer.json.data.map((event, index) => ({ ...event, payload: rawField(texts[index][1], "payload") }));
    const kept = events.filter(({ payload }) => payload !== "null");
    if (!kept.length) return fill(results, h("p", { class: "quiet" }, "This project has no recent event to try."));
    // The first one shows whether the filter is refused.
    const first = await judged(kept[0]);
    const rest = await Promise.all(kept.slice(1).map(judged));
    const line = (shown, index) =>
      h("li", null, shown, " ", h("b", null, kept[index].event_name), " ", h("span", { class: "quiet" }, time(kept[index].created_at)));
    return fill(results, h("ul", { class: "verdicts" }, [first, ...rest].map(line)));
  };
  const onLatest = button(`Try on the latest ${LATEST} events`, () => attempt(onLatest, latest), { kind: "small" });
  return h(
    "details",
    { class: "tester" },
    h("summary", null, "Try the filter"),
    h("div", null, onLatest),
    field("An event of your own", pasted, "As it is posted, or the payload of one that was. It is not sent."),
    h("div", null, onOne),
    place,
    results,
  );
}

/** The filter's text area. `filter` is the text of the present filter, or null. */
export function filterField({ path, tester, filter }) {
  const before = filter ? pretty(filter) : "";
  const input = area(before, { placeholder: EXAMPLE });
  const hint = [
    "An event pattern of Amazon EventBridge over the whole event. Events that do not match are not delivered here. Empty: all events pass.",
    !isPortal && [" The guide ", h("code", null, "docs/filters.md"), " has the language."],
  ];
  // A filter that is left alone goes back as it came: its text has a limit, and the indentation counts.
  const read = () => {
    const text = input.value === before ? (filter ?? "") : input.value.trim();
    return text ? jsonOf(text, "The filter", "filter") : null;
  };
  const part = h(
    "div",
    null,
    field("Filter", input, hint),
    tester
      ? testerOf({ path, tester, read, input })
      : h("p", { class: "hint" }, "You can try a filter here once the project has an endpoint."),
  );
  part.addEventListener("refused", ({ detail }) => selectPlace(input, detail));
  return { element: named("filter", "The filter", part), read };
}
