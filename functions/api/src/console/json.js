// JSON as text. The console shows exactly the delivered bytes. Parsing them would turn 1.10 into 1.1 and round long integers.

const SPACE = " \t\n\r";

function afterSpace(text, at) {
  while (SPACE.includes(text[at])) at += 1;
  return at;
}

function afterString(text, at) {
  for (at += 1; text[at] !== '"'; at += 1) if (text[at] === "\\") at += 1;
  return at + 1;
}

function afterValue(text, at) {
  let depth = 0;
  do {
    if (text[at] === '"') {
      at = afterString(text, at);
      continue;
    }
    if ("{[".includes(text[at])) depth += 1;
    if ("}]".includes(text[at])) depth -= 1;
    at += 1;
  } while (depth > 0 || (at < text.length && !",}]".includes(text[at])));
  return at;
}

/** The text of one field of a JSON object, or undefined. */
export function rawField(text, name) {
  let at = afterSpace(text, text.indexOf("{") + 1);
  while (text[at] === '"') {
    const keyEnd = afterString(text, at);
    const key = JSON.parse(text.slice(at, keyEnd));
    const start = afterSpace(text, afterSpace(text, keyEnd) + 1);
    const end = afterValue(text, start);
    if (key === name) return text.slice(start, end).trimEnd();
    at = afterSpace(text, afterSpace(text, end) + 1);
  }
  return undefined;
}

/** What is directly inside an array or an object: for each entry its key, null in an array, its value, each as its own text, and where
 * the value begins. */
export function inside(text) {
  const hasKeys = text[0] === "{";
  const found = [];
  let at = afterSpace(text, 1);
  while (!"}]".includes(text[at])) {
    let key = null;
    if (hasKeys) {
      const end = afterString(text, at);
      key = text.slice(at, end);
      at = afterSpace(text, afterSpace(text, end) + 1);
    }
    const end = afterValue(text, at);
    found.push([key, text.slice(at, end).trimEnd(), at]);
    at = afterSpace(text, end);
    if (text[at] === ",") at = afterSpace(text, at + 1);
  }
  return found;
}

const SHORT = 60;

/** The text with a line for each entry of an array or object that is not short. Each string and number keeps its spelling. */
export function pretty(text, indent = "") {
  const entries = "{[".includes(text[0]) ? inside(text) : [];
  if (!entries.length) return text;
  const deeper = `${indent}  `;
  const shown = entries.map(([key, value]) => `${key === null ? "" : `${key}: `}${pretty(value, deeper)}`);
  const [open, close, space] = text[0] === "{" ? ["{", "}", " "] : ["[", "]", ""];
  const line = `${open}${space}${shown.join(", ")}${space}${close}`;
  if (indent && line.length < SHORT && !line.includes("\n")) return line;
  return `${open}\n${shown.map((each) => `${deeper}${each}`).join(",\n")}\n${indent}${close}`;
}

/** The keys and indexes of a path such as $.data["a b"][0], in which the API names a place. */
const steps = (path) => [...path.matchAll(/\.([\w$-]+)|\[("(?:[^"\\]|\\.)*"|\d+)\]/g)].map(([, name, index]) => name ?? JSON.parse(index));

/** Where the value at a path begins and ends in a text of JSON, or the innermost value around it that is there. */
export function spanAt(text, path) {
  let start = afterSpace(text, 0);
  let found = text.slice(start).trimEnd();
  for (const step of steps(path)) {
    const entries = "{[".includes(found[0]) ? inside(found) : [];
    const entry = typeof step === "number" ? entries[step] : entries.find(([key]) => key !== null && JSON.parse(key) === step);
    if (!entry) break;
    start += entry[2];
    found = entry[1];
  }
  return [start, start + found.length];
}

/** JSON that goes into a body as it is written. */
export class Written {
  constructor(text) {
    this.text = text;
  }
}

/** A body as JSON, in which each field that is `Written` keeps its spelling. */
export function write(body) {
  const fields = Object.entries(body).filter(([, value]) => value !== undefined);
  return `{${fields.map(([name, value]) => `${JSON.stringify(name)}:${value instanceof Written ? value.text : JSON.stringify(value)}`).join()}}`;
}

export const byteLength = (text) => new TextEncoder().encode(text).length;
