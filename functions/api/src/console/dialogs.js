// Dialogs: the browser's own, so that Escape closes them, focus stays inside and returns to where it was.

import { h } from "./dom.js";
import { button, working } from "./widgets.js";

/** Shows a dialog; `parts(close)` are its contents. Resolves when it has closed. */
export function dialog(title, parts) {
  return new Promise((resolve) => {
    const element = h("dialog", { "aria-labelledby": "dialog-title" });
    const close = () => element.close();
    element.append(h("h2", { id: "dialog-title" }, title), ...[parts(close)].flat().filter(Boolean));
    element.addEventListener("close", () => {
      element.remove();
      resolve();
    });
    document.body.append(element);
    element.showModal();
  });
}

/** Moves what went wrong to the field that its message begins with, or to the end. */
function putAt(place, message, form, actions) {
  const field = form.querySelector(`[data-field="${CSS.escape(message.split(" ")[0])}"]`);
  if (!field) return actions.before(place);
  field.after(place);
  return field.querySelector("input")?.focus();
}

/** A form in a dialog. It closes when `submit` resolves; when that fails the problem is shown and all stays as typed. */
export function formDialog(title, body, { action, kind = "primary", cancel = "Cancel", submit }) {
  return dialog(title, (close) => {
    const place = h("div");
    const confirm = h("button", { type: "submit", class: `button ${kind}` }, action);
    const onsubmit = async (event) => {
      event.preventDefault();
      await working(confirm, place, async () => {
        try {
          await submit();
        } catch (problem) {
          putAt(place, problem.message, event.target, actions);
          throw problem;
        }
        close();
      });
    };
    const actions = h("div", { class: "actions" }, button(cancel, close), confirm);
    return h("form", { onsubmit, novalidate: true }, body, place, actions);
  });
}

/** Says something that has to be read or copied before it goes away. */
export const tell = (title, ...body) =>
  dialog(title, (close) => [...body, h("div", { class: "actions" }, button("Done", close, { kind: "primary", autofocus: true }))]);
