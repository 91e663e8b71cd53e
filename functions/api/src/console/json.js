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

/** What is directly inside an array or an object, as pairs of a key, null in an array, and a value: each as its own text. */
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
    found.push([key, text.slice(at, end).trimEnd()]);
    at = afterSpace(text, end);
    if (text[at] === ",") at = afterSpace(text, at + 1);
  }
  return found;
}

export const byteLength = (text) => new TextEncoder().encode(text).length;
