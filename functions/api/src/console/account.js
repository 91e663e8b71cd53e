// The person's account: a new password, and the end of all sessions.

import { changePassword } from "./api.js";
import { dialog, formDialog } from "./dialogs.js";
import { h } from "./dom.js";
import { session } from "./session.js";
import { button, field, named, toast } from "./widgets.js";

const password = (autocomplete) => h("input", { type: "password", autocomplete });

function passwordForm() {
  const current = password("current-password");
  const next = password("new-password");
  const body = [
    named("current_password", "The current password", field("Current password", current)),
    named("new_password", "The new password", field("New password", next, "8 to 128 characters.")),
    h("p", null, "You stay signed in here. All other sessions of your account end. API keys go on working."),
  ];
  return formDialog("Change your password", body, {
    action: "Change password",
    submit: async () => {
      await changePassword(current.value, next.value);
      toast("Password changed. All other sessions have ended.");
    },
  });
}

/** Ends the account's sessions, this one too, and then calls `ended`. */
function everywhereForm(end, ended) {
  const text = "All sessions of your account end, this one too. API keys go on working.";
  return formDialog("Sign out everywhere?", h("p", null, text), {
    action: "Sign out everywhere",
    kind: "danger",
    submit: async () => {
      await end();
      ended();
    },
  });
}

/** Shows the account's actions. */
export async function showAccount(end, ended) {
  let next = null;
  await dialog("Your account", (close) => {
    const choose = (form) => () => {
      next = form;
      close();
    };
    return [
      h("p", { class: "break" }, session().email),
      h(
        "div",
        { class: "actions" },
        button("Change password", choose(passwordForm)),
        button(
          "Sign out everywhere",
          choose(() => everywhereForm(end, ended)),
          { kind: "danger-text" },
        ),
        button("Close", close),
      ),
    ];
  });
  await next?.();
}
