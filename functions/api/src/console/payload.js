// The envelope of an event: a tree whose parts fold, and the bytes exactly as they were sent. Each string and number keeps its spelling.

import { fill, h } from "./dom.js";
import { size } from "./format.js";
import { byteLength, inside } from "./json.js";
import { button, copyButton, segments } from "./widgets.js";

/** How many entries show at once, and the longest text whose parts are all unfolded at first. */
const ENTRIES = 200;
const SHORT = 4_000;
const OPEN_DEPTH = 2;

const kindOf = (text) => (text[0] === '"' ? "json-text" : "json-figure");

/** A piece of JSON. It is isolated, so that right-to-left text in it does not turn the text after it. */
const piece = (kind, text) => h("bdi", { class: kind }, text);

function node(key, text, end, depth) {
  const label = key === null ? [] : [piece("json-key", key), ": "];
  const entries = "{[".includes(text[0]) ? inside(text) : [];
  if (!entries.length) return h("div", { class: "json-line" }, label, piece(kindOf(text), text), end);
  const close = text[0] === "{" ? "}" : "]";
  const count = `${entries.length} ${close === "}" ? "field" : "item"}${entries.length === 1 ? "" : "s"}`;
  const rest = h("div", { class: "json-inside" });
  let shown = 0;
  const more = () => {
    const next = entries.slice(shown, shown + ENTRIES);
    next.forEach(([name, value], index) => rest.append(node(name, value, shown + index + 1 < entries.length ? "," : "", depth + 1)));
    shown += next.length;
    if (shown === entries.length) return;
    const others = button(`Show ${Math.min(ENTRIES, entries.length - shown)} more of ${count}`, () => others.replaceWith(...grown()), {
      kind: "small",
    });
    rest.append(others);
  };
  const grown = () => {
    const before = rest.childNodes.length;
    more();
    return [...rest.childNodes].slice(before);
  };
  const unfold = () => {
    if (part.open && !shown) more();
  };
  const part = h(
    "details",
    { open: depth < OPEN_DEPTH || text.length < SHORT, ontoggle: unfold },
    h("summary", { class: "json-line" }, label, text[0], h("span", { class: "json-folded" }, ` ${count} ${close}${end}`)),
    rest,
    h("div", { class: "json-line" }, close, end),
  );
  unfold();
  return part;
}

/** Unfolds or folds all parts that are built; the parts inside a folded one are built when it is unfolded. */
function foldAll(tree, open) {
  for (const part of tree.querySelectorAll("details")) part.open = open || part === tree.firstElementChild;
}

export function payloadPanel(text, lacking = "It was erased, and so were the receivers' answers.") {
  if (text === "null") {
    const title = h("h2", { id: "payload-title" }, "Payload");
    const said = h("span", { class: "quiet" }, lacking);
    return h("section", { class: "panel", "aria-labelledby": "payload-title" }, title, said);
  }
  const tree = h("div", { class: "code json", tabindex: "0", role: "group", "aria-label": "Payload, formatted" }, node(null, text, "", 0));
  const strings = text.split(/("(?:[^"\\]|\\.)*")/).map((part, index) => (index % 2 ? h("bdi", null, part) : part));
  const bytes = h("pre", { class: "code wrap", tabindex: "0", "aria-label": "Payload, as it was sent" }, strings);
  const place = h("div", { class: "payload" });
  const ways = [
    ["Formatted", [tree]],
    ["Raw", [bytes]],
    ["Both", [tree, bytes]],
  ];
  const folds = h(
    "span",
    { class: "folds" },
    button("Unfold all", () => foldAll(tree, true), { kind: "small ghost" }),
    button("Fold all", () => foldAll(tree, false), { kind: "small ghost" }),
  );
  const choose = (index) => {
    fill(place, ways[index][1]);
    folds.hidden = index === 1;
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
      folds,
      copyButton(() => text, "Copy", { what: "Copy the raw payload" }),
    ),
    place,
  );
}
