// Making an account, where the operator lets people do so.

import { SIGN_UP, signUp } from "./api.js";
import { submitting, tell } from "./dialogs.js";
import { h } from "./dom.js";
import { copyButton, field, named } from "./widgets.js";

export const isOpen = SIGN_UP !== "closed";

/** What the sign-in page says to people without an account. */
export const aboutAccounts = () =>
  isOpen
    ? ["No account yet? Choose Sign up.", SIGN_UP === "token" && " The operator of this service gives you the token for it."]
    : [
        "This service takes no sign-ups at present. Its operator makes the accounts: the guide ",
        h("code", null, "docs/deploy.md"),
        " shows how, under ‘The first account’.",
      ];

const FIELDS = [
  ["email", "The e-mail address", "E-mail", { type: "email", autocomplete: "username", autocapitalize: "none", spellcheck: "false" }],
  ["password", "The password", "Password", { type: "password", autocomplete: "new-password" }, "8 to 128 characters."],
  ["first_name", "The first name", "First name", { autocomplete: "given-name" }],
  ["last_name", "The last name", "Last name", { autocomplete: "family-name" }],
  ["business_name", "The name of the business", "Business", { autocomplete: "organization" }],
  ["business_summary", "The words on the business", "What the business does", { autocomplete: "off" }],
  ["industry", "The industry", "Industry", { autocomplete: "off" }],
];
const TOKEN = ["token", "The sign-up token", "Sign-up token", { type: "password", autocomplete: "off", spellcheck: "false" }];

/** The API names its header, which the form calls a token. */
function inWords(problem) {
  if (!problem.message.includes("x-signup-token")) return problem;
  return Object.assign(problem, { field: "token", message: "The sign-up token is missing or wrong. The operator of this service has it." });
}

async function showKey(key) {
  await tell(
    "Your account is ready",
    h("p", null, "Your first project is called default. This is its API key."),
    h("p", null, h("b", null, "Copy the key now. "), "The service keeps only a hash of the key, so it cannot show the key again."),
    h(
      "p",
      { class: "secret" },
      h("code", null, key),
      copyButton(() => key, "Copy key", { said: "Key copied" }),
    ),
  );
}

/** The form. It calls `done` when the person has an account and is signed in. */
export function signUpForm(done) {
  const inputs = new Map();
  const part = ([name, called, label, props, hint]) => {
    const input = h("input", { type: "text", ...props });
    inputs.set(name, input);
    return named(name, called, field(label, input, hint));
  };
  const place = h("div");
  const confirm = h("button", { type: "submit", class: "button primary wide" }, "Create account");
  const submit = async () => {
    const { token, ...fields } = Object.fromEntries([...inputs].map(([name, input]) => [name, input.value.trim()]));
    fields.password = inputs.get("password").value;
    try {
      await showKey(await signUp(fields, token));
    } catch (problem) {
      throw inWords(problem);
    }
    done();
  };
  const onsubmit = (event) => {
    event.preventDefault();
    submitting({ form: event.target, confirm, place, end: confirm }, submit);
  };
  const parts = [...(SIGN_UP === "token" ? [TOKEN] : []), ...FIELDS].map(part);
  return h("form", { onsubmit, novalidate: true, "aria-label": "Sign up" }, parts, place, confirm);
}
