// The fields of an endpoint's form that have parts of their own. Each returns its `element` and `read()`, its value.

import { Problem } from "./api.js";
import { h } from "./dom.js";
import { isPortal } from "./portal.js";
import { button, checked, checks, field, named } from "./widgets.js";

export const text = (value, props) => h("input", { type: "text", value, autocomplete: "off", spellcheck: "false", ...props });

/** What the API shows in place of a header's value. Sent back, it keeps the value. */
export const MASK = "********";

/** A line for each header, and a button that adds one. A value may be a credential, so it shows only while it has the focus. */
export function headersField(headers) {
  const lines = h("div", { class: "lines" });
  const add = (name, value) => {
    const line = h("div", { class: "line" });
    const drop = () => {
      line.remove();
      more.focus();
    };
    const parts = [
      text(name, { "aria-label": "Header name", placeholder: "x-tenant" }),
      text(value, { "aria-label": "Header value", class: "masked", onfocus: ({ target }) => target.select() }),
    ];
    line.append(...parts, button("", drop, { kind: "small ghost", mark: "cross", "aria-label": "Remove this header" }));
    lines.append(line);
    return parts[0];
  };
  const more = button("Add header", () => add("", "").focus(), { kind: "small", mark: "plus" });
  Object.entries(headers).forEach(([name, value]) => add(name, value));
  const read = () => {
    const pairs = [...lines.children]
      .map((line) => [...line.querySelectorAll("input")].map((input) => input.value.trim()))
      .filter(([name, value]) => name || value);
    if (new Set(pairs.map(([name]) => name.toLowerCase())).size < pairs.length)
      throw new Problem(400, "Custom headers must have different names.", { field: "headers" });
    return Object.fromEntries(pairs);
  };
  const kept = Object.keys(headers).length ? [" A saved value is never shown again; ", h("code", null, MASK), " keeps it."] : [];
  const hint = h("p", { class: "hint" }, "Sent with each request, for example ", h("code", null, "authorization"), ".", kept);
  return {
    element: named(
      "headers",
      "Custom headers",
      h("fieldset", { class: "checks plain" }, h("legend", null, "Custom headers"), lines, h("div", null, more), hint),
    ),
    read,
  };
}

const EVERY = "*";

/** What a type's name says beside it. */
const aboutType = ({ description, deprecated }) => [description, deprecated && "(deprecated)"].filter(Boolean).join(" ");

/** The choice of events: each known name, every event, and prefixes that the person types. */
export function eventsField(chosen, types) {
  const isPrefix = (value) => value.endsWith(".*");
  const names = [...new Set([...types.map(({ name }) => name), ...chosen.filter((value) => value !== EVERY && !isPrefix(value))])];
  const fieldset = checks("Events", [...names, EVERY, ...chosen.filter(isPrefix)], chosen, {
    ...Object.fromEntries(types.map((type) => [type.name, aboutType(type)])),
    [EVERY]: "every event, later ones too",
  });
  const typed = text("", { "aria-label": "Prefix of events", placeholder: "call.*" });
  const add = () => {
    const value = typed.value.trim();
    if (!value) return typed.focus();
    const known = [...fieldset.querySelectorAll("input[type=checkbox]")].find((each) => each.value === value);
    const box = known ?? h("input", { type: "checkbox", value });
    if (!known) line.before(h("label", null, box, h("span", null, value)));
    box.checked = true;
    typed.value = "";
    return box.focus();
  };
  const enter = (press) => {
    if (press.key !== "Enter") return;
    press.preventDefault();
    add();
  };
  typed.addEventListener("keydown", enter);
  const line = h("div", { class: "line of-two" }, typed, button("Add prefix", add, { kind: "small", mark: "plus" }));
  const hint = h(
    "p",
    { class: "hint" },
    "A prefix such as ",
    h("code", null, "call.*"),
    " covers all events whose names begin so, later ones too.",
  );
  fieldset.append(line, hint);
  const read = () => {
    const values = [...checked(fieldset), typed.value.trim()].filter(Boolean);
    if (!values.length) throw new Problem(400, "Choose at least one event.", { field: "events" });
    return values;
  };
  return { element: named("events", "The events", fieldset), read };
}

const ORDERS = [
  ["", "No order: deliveries go out side by side"],
  ["endpoint", "All deliveries, one after another"],
  ["customer_id", "One after another for each customer_id"],
];

export function orderField(chosen) {
  const select = h(
    "select",
    null,
    ORDERS.map(([value, label]) => h("option", { value, selected: value === (chosen ?? "") }, label)),
  );
  const hint = [
    "In an order, each delivery waits until the one before it has ended, its retries included. A receiver that fails holds up what follows.",
    !isPortal && [" The limits are in ", h("code", null, "docs/ordering.md"), "."],
  ];
  return { element: named("ordered", "The order", field("Order", select, hint)), read: () => select.value || null };
}
