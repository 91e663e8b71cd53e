// The event types, in all projects of the account. Signed-in accounts change them.

import { change } from "./api.js";
import { formDialog } from "./dialogs.js";
import { h } from "./dom.js";
import { eventTypes, forgetTypes } from "./event_names.js";
import { area, jsonOf } from "./filter_field.js";
import { plural, time } from "./format.js";
import { pretty } from "./json.js";
import { session } from "./session.js";
import { actionCell, button, cell, empty, field, mainCell, named, table, tabs, toast, viewHead } from "./widgets.js";

export const eventTabs = (current, home) =>
  tabs("Parts of the events", current, [
    ["events", "Accepted events", `${home}/events`],
    ["types", "Event types", `${home}/event-types`],
  ]);

const pathOf = (name) => `v1/event-types/${encodeURIComponent(name)}`;

function typeForm(type, done) {
  const name = h("input", { type: "text", value: type?.name ?? "", placeholder: "order.paid", autocomplete: "off", spellcheck: "false" });
  const description = h("input", { type: "text", value: type?.description ?? "", autocomplete: "off" });
  const before = type?.example ? pretty(type.example) : "";
  const example = area(before, { placeholder: '{ "order_id": "ord_1" }' });
  const deprecated = h("input", { type: "checkbox", checked: type?.deprecated ?? false });
  const body = [
    !type && named("name", "The name", field("Name", name, "All projects of your account get the name after at most 10 seconds.")),
    named("description", "The description", field("Description", description)),
    named(
      "example",
      "The example",
      field("Example", example, ["The ", h("code", null, "data"), " of such an event. A test event carries it."]),
    ),
    h("div", { class: "checks plain" }, h("label", null, deprecated, h("span", null, "Deprecated: producers should stop using it"))),
  ];
  return formDialog(type ? `Edit ${type.name}` : "New event type", body, {
    action: "Save",
    submit: async () => {
      // A test carries the example byte for byte, so one that is left alone goes back as it came.
      const text = example.value === before ? (type?.example ?? "") : example.value.trim();
      await change("PUT", pathOf(type?.name ?? name.value.trim()), {
        description: description.value.trim() || null,
        example: text ? jsonOf(text, "The example", "example") : null,
        deprecated: deprecated.checked,
      });
      forgetTypes();
      toast("Event type saved");
      done();
    },
  });
}

function removeForm(type, done) {
  const text = type.configured
    ? "The name is one of this deployment's, so it stays. Your description and your example go."
    : "The service accepts no more events of this name. Endpoints stay subscribed to it, and get its events again if you make the type again.";
  return formDialog(`Remove ${type.name}?`, h("p", null, text), {
    action: "Remove",
    kind: "danger",
    submit: async () => {
      await change("DELETE", pathOf(type.name));
      forgetTypes();
      toast("Event type removed");
      done();
    },
  });
}

function row(type, mayChange, reload) {
  const example =
    type.example &&
    h(
      "details",
      { class: "request" },
      h("summary", null, "Example"),
      h("pre", { class: "code answer wrap", tabindex: "0", "aria-label": `Example of ${type.name}` }, pretty(type.example)),
    );
  const chips = [type.configured && "of this deployment", type.deprecated && "deprecated"].filter(Boolean);
  return h(
    "tr",
    null,
    mainCell(
      h("b", { class: "break" }, type.name),
      h(
        "span",
        { class: "chips" },
        chips.map((text) => h("span", { class: "chip" }, text)),
      ),
    ),
    cell("Description", "break", h("span", null, type.description ?? h("span", { class: "quiet" }, "none"), example)),
    cell("Updated", "when", type.updated_at ? time(type.updated_at) : "–"),
    mayChange &&
      actionCell(
        button("Edit", () => typeForm(type, reload), { kind: "small", "aria-label": `Edit ${type.name}` }),
        type.updated_at &&
          button("Remove", () => removeForm(type, reload), { kind: "small danger-text", "aria-label": `Remove ${type.name}` }),
      ),
  );
}

export async function eventTypesView({ home, reload }) {
  const types = await eventTypes();
  const mayChange = session().kind === "account";
  const headings = [["Name"], ["Description"], ["Updated", "when"]];
  if (mayChange) headings.push([h("span", { class: "visually-hidden" }, "Actions")]);
  const content = [
    viewHead(
      "Event types",
      `${plural(types.length, "type")}, in all projects of the account. An endpoint chooses among their names.`,
      mayChange && button("New event type", () => typeForm(null, reload), { kind: "primary", mark: "plus" }),
    ),
    eventTabs("types", home),
    h(
      "div",
      { class: "panel flush" },
      types.length
        ? table(
            headings,
            types.map((type) => row(type, mayChange, reload)),
          )
        : empty("No event types", "An event needs a name that is known here."),
    ),
  ];
  return { title: "Event types", content };
}
