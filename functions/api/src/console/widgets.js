// The small parts of every view.

import { SignedOut } from "./api.js";
import { fill, h, icon } from "./dom.js";
import { plural } from "./format.js";

const STATUSES = {
  success: ["check", "good", "Delivered"],
  failed: ["cross", "bad", "Failed"],
  retrying: ["retry", "warn", "Retrying"],
  pending: ["clock", "calm", "Pending"],
  active: ["check", "good", "Active"],
  failing: ["alert", "bad", "Failing"],
  disabled: ["pause", "off", "Disabled"],
  revoked: ["cross", "off", "Revoked"],
  expired: ["clock", "off", "Expired"],
  opened: ["check", "good", "Opened"],
  unopened: ["clock", "calm", "Not opened yet"],
  running: ["retry", "calm", "Running"],
  finished: ["check", "good", "Finished"],
  stopped: ["pause", "warn", "Stopped"],
  skipped: ["skip", "off", "Skipped"],
};

/** A status with its name, or with `text` instead. Screen readers also read `said`. */
export function pill(status, text, said) {
  const [mark, tone, label] = STATUSES[status] ?? ["alert", "off", status];
  return h("span", { class: `pill ${tone}` }, icon(mark), text ?? label, said && h("span", { class: "visually-hidden" }, ` ${said}`));
}

export const button = (label, onclick, { kind = "", mark, ...props } = {}) =>
  h("button", { type: "button", class: `button ${kind}`, onclick, ...props }, mark && icon(mark), label);

export const link = (label, href, props = {}) => h("a", { href, ...props }, label);

export function toast(text) {
  const note = h("p", { class: "toast" }, text);
  document.getElementById("toasts").append(note);
  setTimeout(() => note.remove(), 5_000);
}

/** A button that copies the text that `text()` returns. */
export function copyButton(text, label = "Copy", { what = label, said = "Copied" } = {}) {
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text());
      toast(said);
    } catch {
      toast("The browser does not allow this page to copy. Select the text instead.");
    }
  };
  return button(label, copy, { kind: "small ghost", mark: "copy", "aria-label": what });
}

/** An id or another short text, with a button that copies it. */
export const copyable = (text, what) =>
  h(
    "span",
    { class: "copyable" },
    h("code", null, text),
    copyButton(() => text, "", { what: `Copy ${what}` }),
  );

/** The end of an id, for a list; the whole id shows on hover. */
export const shortId = (id) => h("code", { class: "quiet small-id", title: id }, `…${id.slice(-12)}`);

/** A table. A heading is its text and, where its column has one, a class. */
export function table(headings, rows) {
  const heading = ([text, kind]) => h("th", { scope: "col", class: kind }, text);
  return h("table", { class: "list" }, h("thead", null, h("tr", null, headings.map(heading))), h("tbody", null, rows));
}

/** The cell that names its row. */
export const mainCell = (...children) => h("td", { class: "main-cell" }, children);

/** Any other cell. A narrow screen shows `label` beside it in place of the table's headings. */
export const cell = (label, kind, ...children) => h("td", { class: kind, "data-label": label }, children);

/** The last cell of a row, with the actions on the row. */
export const actionCell = (...children) => h("td", { class: "row-action" }, children);

/** A name and its value, in a `dl`. */
export const fact = (label, ...value) => h("div", null, h("dt", null, label), h("dd", null, value));

/** The top of a view: its heading, a line below the heading, and an action at the right. */
export const viewHead = (title, under, action) =>
  h("div", { class: "head" }, h("div", null, h("h1", { tabindex: "-1" }, title), under && h("p", { class: "quiet" }, under)), action);

/** Links to the parts of a view, each as its name, its text and its address. */
export const tabs = (label, current, parts) =>
  h(
    "nav",
    { class: "tabs", "aria-label": label },
    parts.map(([name, text, href]) => link(text, href, { "aria-current": name === current ? "page" : null })),
  );

/** Buttons in a row, one of them pressed. Pressing one, here by `press`, calls `choose` with its index. */
export function segments(label, names, choose, kind = "") {
  const press = (index) => {
    buttons.forEach((each, at) => each.setAttribute("aria-pressed", String(at === index)));
    choose(index);
  };
  const buttons = names.map((name, index) => h("button", { type: "button", onclick: () => press(index) }, name));
  return { element: h("div", { class: `segments ${kind}`, role: "group", "aria-label": label }, buttons), press };
}

export const empty = (title, text, ...actions) =>
  h("div", { class: "empty" }, h("p", { class: "empty-title" }, title), h("p", null, text), actions);

export const loading = (label) =>
  h(
    "div",
    { class: "loading", role: "status" },
    h("span", { class: "visually-hidden" }, label),
    [1, 2, 3].map(() => h("span", { class: "bone" })),
  );

/** The API's message about a failure, and a button that tries again after the wait that the API asks for. */
export function problemBox(problem, again) {
  const busy = problem.status === 429 || problem.status === 503;
  const retry = again && button("Try again", again, { kind: "small" });
  if (retry && problem.retryAfter) holdFor(retry, problem.retryAfter);
  return h(
    "div",
    { class: `problem ${busy ? "busy" : ""}`, role: "alert" },
    icon(busy ? "clock" : "alert"),
    h(
      "div",
      null,
      h("p", null, problem.message),
      busy && !again && problem.retryAfter && h("p", { class: "quiet" }, `Try again in ${plural(problem.retryAfter, "second")}.`),
      problem.requestId && h("p", { class: "quiet" }, "Request ID ", copyable(problem.requestId, "the request id")),
    ),
    retry,
  );
}

/** Disables a button and counts down the seconds until it works again. */
function holdFor(element, seconds) {
  const label = element.textContent;
  let left = seconds;
  element.disabled = true;
  const tick = () => {
    element.disabled = left > 0;
    element.textContent = left > 0 ? `${label} in ${left} s` : label;
    left -= 1;
    if (left < 0) clearInterval(timer);
  };
  const timer = setInterval(tick, 1_000);
  tick();
}

/** Does the slow work of a button: meanwhile the button looks busy and ignores presses. `place` shows a failure. */
export async function working(element, place, work) {
  if (element.getAttribute("aria-busy") === "true") return undefined;
  element.setAttribute("aria-busy", "true");
  fill(place);
  try {
    return await work();
  } catch (problem) {
    if (problem.status === undefined || problem instanceof SignedOut) throw problem;
    fill(place, problemBox(problem));
    return undefined;
  } finally {
    element.removeAttribute("aria-busy");
  }
}

let fields = 0;

/** An input with a label. Screen readers read the hint too. */
export function field(label, input, hint) {
  fields += 1;
  input.id ||= `field-${fields}`;
  if (hint) input.setAttribute("aria-describedby", `${input.id}-hint`);
  return h(
    "div",
    { class: "field" },
    h("label", { for: input.id }, label),
    input,
    hint && h("p", { class: "hint", id: `${input.id}-hint` }, hint),
  );
}

/** Marks the part of a form for a field of the API: refusals of the field show there, and call the field `called`. */
export function named(name, called, part) {
  part.dataset.field = name;
  part.dataset.called = called;
  return part;
}

/** Checkboxes. `about` has further words on some of the values. */
export const checks = (legend, options, chosen, about = {}) =>
  h(
    "fieldset",
    { class: "checks" },
    h("legend", null, legend),
    options.map((value) =>
      h(
        "label",
        null,
        h("input", { type: "checkbox", value, checked: chosen.includes(value) }),
        h("span", null, value, about[value] && h("span", { class: "quiet" }, ` ${about[value]}`)),
      ),
    ),
  );

export const checked = (fieldset) => [...fieldset.querySelectorAll("input:checked")].map((input) => input.value);
