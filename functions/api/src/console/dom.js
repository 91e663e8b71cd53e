// Functions that build the page. Strings become text nodes and nothing here parses HTML, so the page shows the text of receivers
// and producers and never runs it.

const TEXT_ONLY = ["option", "title", "text"];
const SVG = "http://www.w3.org/2000/svg";

// Characters that show nothing, or turn the text around them: controls except tab and line end, directional marks, invisible spaces.
const HIDDEN = /([\p{Cc}\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\u{e0000}-\u{e007f}])/u;
const SHOWN_AS_THEY_ARE = "\t\n\r";

const codeOf = (char) => `U+${char.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;

const isHidden = (part, index) => index % 2 === 1 && !SHOWN_AS_THEY_ARE.includes(part);

/** Text for a place that holds no elements, with a code in place of each hidden character. */
export const plain = (text) =>
  String(text)
    .split(HIDDEN)
    .map((part, index) => (isHidden(part, index) ? `[${codeOf(part)}]` : part))
    .join("");

/** A text as nodes. A hidden character stays in the text, where it can be copied, and is shown by its code. */
function nodes(text) {
  const parts = text.split(HIDDEN);
  if (parts.length === 1) return [text];
  return parts.map((part, index) => {
    if (!isHidden(part, index)) return part;
    const mark = document.createElement("span");
    mark.className = "hidden-char";
    mark.dataset.code = codeOf(part);
    mark.textContent = part;
    return mark;
  });
}

function build(element, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked" || name === "selected") element[name] = value;
    else element.setAttribute(name, value === true ? "" : plain(value));
  }
  add(element, children);
  return element;
}

function add(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === undefined || child === null || child === false) continue;
    if (child instanceof Node) element.append(child);
    else element.append(...(TEXT_ONLY.includes(element.localName) ? [plain(child)] : nodes(String(child))));
  }
}

/** An element: h("a", { class: "link", href }, "text", anotherElement). */
export const h = (tag, props, ...children) => build(document.createElement(tag), props, children);

/** An element of SVG. */
export const svg = (tag, props, ...children) => build(document.createElementNS(SVG, tag), props, children);

/** Replaces an element's children with these. */
export function fill(element, ...children) {
  element.replaceChildren();
  add(element, children);
  return element;
}

const ICONS = {
  check: "M5 12.5l4.5 4.5L19 7.5",
  cross: "M7 7l10 10M17 7L7 17",
  clock: "M12 7v5l3.5 2M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17z",
  retry: "M19 12a7 7 0 1 1-2.2-5.1M19 4v4.5h-4.5",
  pause: "M9 6.5v11M15 6.5v11",
  plus: "M12 5v14M5 12h14",
  copy: "M9 9h10v10H9zM5 15V5h10",
  eye: "M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12zM12 9.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5z",
  send: "M4 12l16-7-6 15-3-6.5z",
  key: "M14.5 9.5a4.5 4.5 0 1 0-4 4.5L12 12.500l1.500 1.500L15 12.500l1.500 1.500L20 10.500",
  alert: "M12 8v5M12 16.500v.5M12 3.500L2.500 20h19z",
  back: "M14 6l-6 6 6 6",
  skip: "M6 6l6 6-6 6M13 6l6 6-6 6",
};

/** A drawing that screen readers skip, because text beside it has the same meaning. */
export const icon = (name) => svg("svg", { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true" }, svg("path", { d: ICONS[name] }));
