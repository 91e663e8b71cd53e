// Dialogs. The browser's own dialogs close on Escape, keep the focus inside, and then return it to the element that had it.

import { h } from "./dom.js";
import { button, working } from "./widgets.js";

/**
 * Shows a dialog with the contents that `parts(close, hold)` returns. Resolves when the dialog has closed. Escape does not close a dialog
 * that `stays`, nor one from `hold(true)` to `hold(false)`.
 */
export function dialog(title, parts, { stays = false } = {}) {
  return new Promise((resolve) => {
    const element = h("dialog", { "aria-labelledby": "dialog-title" });
    const close = () => element.close();
    let isHeld = false;
    const hold = (wanted) => {
      isHeld = stays || wanted;
      if (isHeld) element.setAttribute("closedby", "none");
      else element.removeAttribute("closedby");
    };
    hold(false);
    // Browsers that do not know `closedby` have these two events.
    element.addEventListener("cancel", (event) => isHeld && event.preventDefault());
    element.addEventListener("keydown", (event) => isHeld && event.key === "Escape" && event.preventDefault());
    element.append(h("h2", { id: "dialog-title" }, title), ...[parts(close, hold)].flat().filter(Boolean));
    element.addEventListener("close", () => {
      element.remove();
      resolve();
    });
    document.body.append(element);
    element.showModal();
  });
}

/** Closes the dialogs that belong to the page which the person leaves. One that stays has something that may never be shown again. */
export function closeDialogs() {
  for (const open of document.querySelectorAll("dialog:not([closedby])")) open.close();
}

/** Names the field as the form does, where the API's message begins with the field's own name: "url must …", "This URL must …". */
function inWordsOfTheForm(problem, form) {
  const [name, ...rest] = problem.message.split(" ");
  const part = form.querySelector(`[data-field="${CSS.escape(name)}"]`);
  if (!part) return;
  problem.field = name;
  problem.message = [part.dataset.called, ...rest].join(" ").replace("must be null or ", "must be ");
}

/** Moves the problem below its field, or to the end of the form. */
function putAt(place, { field: name, message }, form, actions) {
  const field = name && form.querySelector(`[data-field="${CSS.escape(name)}"]`);
  if (!field) return actions.before(place);
  field.after(place);
  field.querySelector("textarea, input, select")?.focus();
  return field.dispatchEvent(new CustomEvent("refused", { detail: message }));
}

/**
 * Does the work of a form. A refusal shows at the field that it names, in the words of the form, or else before `end`, and the form
 * keeps its input.
 */
export const submitting = ({ form, confirm, place, end }, submit) =>
  working(confirm, place, async () => {
    try {
      await submit();
    } catch (problem) {
      if (!problem.field) inWordsOfTheForm(problem, form);
      putAt(place, problem, form, end);
      throw problem;
    }
  });

/**
 * A form in a dialog. The dialog closes when `submit` resolves. If `submit` fails, the dialog shows the problem and keeps the input. Only the
 * end of the session closes it while `submit` is at work: the answer may have a secret that is shown only once.
 */
export function formDialog(title, body, { action, kind = "primary", cancel = "Cancel", submit }) {
  return dialog(title, (close, hold) => {
    const place = h("div");
    const leave = button(cancel, close);
    const confirm = h("button", { type: "submit", class: `button ${kind}` }, action);
    const onsubmit = async (event) => {
      event.preventDefault();
      const isBusy = (wanted) => {
        hold(wanted);
        leave.disabled = wanted;
      };
      await submitting({ form: event.target, confirm, place, end: actions }, async () => {
        isBusy(true);
        try {
          await submit();
        } finally {
          isBusy(false);
        }
        close();
      });
    };
    const actions = h("div", { class: "actions" }, leave, confirm);
    return h("form", { onsubmit, novalidate: true }, body, place, actions);
  });
}

/** A dialog with something that may never be shown again, and the button that closes it. */
export const tell = (title, ...body) =>
  dialog(title, (close) => [...body, h("div", { class: "actions" }, button("Done", close, { kind: "primary", autofocus: true }))], {
    stays: true,
  });
