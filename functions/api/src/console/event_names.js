// The names that events may have: those of this deployment and the account's own types.

import { get } from "./api.js";
import { inside, rawField } from "./json.js";
import { session } from "./session.js";

/** A type that was just made shows in the forms after this time at the latest. */
const KEPT_MS = 10_000;

let kept = { of: null, at: 0, types: null };

async function read() {
  const answer = await get("v1/event-types");
  const texts = inside(answer.text.trim());
  // An example keeps its spelling, so it stays a text.
  return answer.json.map((type, index) => ({ ...type, example: type.example && rawField(texts[index][1], "example") }));
}

/** `{ name, configured, description, example, deprecated, updated_at }` for each type; the example is a text of JSON. */
export function eventTypes() {
  const of = session()?.id ?? session()?.link;
  if (kept.of !== of || kept.at < Date.now() - KEPT_MS) {
    const types = read();
    kept = { of, at: Date.now(), types };
    types.catch(() => {
      kept = { of: null, at: 0, types: null };
    });
  }
  return kept.types;
}

export const eventNames = async () => (await eventTypes()).map(({ name }) => name);

/** After a change. */
export function forgetTypes() {
  kept = { of: null, at: 0, types: null };
}
