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

/** JSON text with line breaks and indents. Each string and number keeps its spelling. */
export function pretty(text) {
  let out = "";
  let depth = 0;
  const line = () => `\n${"  ".repeat(depth)}`;
  for (let at = 0; at < text.length; ) {
    const char = text[at];
    if (char === '"') {
      const end = afterString(text, at);
      out += text.slice(at, end);
      at = end;
      continue;
    }
    at += 1;
    if (SPACE.includes(char)) continue;
    if ("{[".includes(char)) {
      const close = afterSpace(text, at);
      if ("}]".includes(text[close])) {
        out += char + text[close];
        at = close + 1;
      } else {
        depth += 1;
        out += char + line();
      }
    } else if ("}]".includes(char)) {
      depth -= 1;
      out += line() + char;
    } else if (char === ",") out += char + line();
    else if (char === ":") out += ": ";
    else out += char;
  }
  return out;
}

export const byteLength = (text) => new TextEncoder().encode(text).length;
