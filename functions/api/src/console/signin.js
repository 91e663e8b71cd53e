// Signing in with an account, or with the API key of one project.

import { signIn, signInWithKey } from "./api.js";
import { fill, h } from "./dom.js";
import { aboutAccounts, isOpen, signUpForm } from "./signup.js";
import { field, segments, working } from "./widgets.js";

function form(inputs, submit) {
  const place = h("div");
  const enter = h("button", { type: "submit", class: "button primary wide" }, "Sign in");
  const onsubmit = (event) => {
    event.preventDefault();
    working(enter, place, submit);
  };
  return h("form", { onsubmit, novalidate: true }, inputs, place, enter);
}

function byAccount(done) {
  const email = h("input", { type: "email", autocomplete: "username", autocapitalize: "none", spellcheck: "false" });
  const password = h("input", { type: "password", autocomplete: "current-password" });
  return form([field("E-mail", email), field("Password", password)], async () => {
    await signIn(email.value.trim(), password.value);
    done();
  });
}

function byKey(done) {
  const key = h("input", { type: "password", autocomplete: "off", spellcheck: "false", placeholder: "echo_…" });
  return form([field("API key", key, "A key gives access to its own project only.")], async () => {
    await signInWithKey(key.value.trim());
    done();
  });
}

/** The page that asks to sign in. It calls `done` afterwards. */
export function signInView(notice, done) {
  const place = h("div");
  const ways = [["Account", byAccount], ["API key", byKey], ...(isOpen ? [["Sign up", signUpForm]] : [])];
  const names = ways.map(([name]) => name);
  const { element: tabs, press } = segments("Sign in with", names, (index) => fill(place, ways[index][1](done)));
  press(0);
  return h(
    "main",
    { id: "main", class: "signin" },
    h("div", { class: "mark", "aria-hidden": "true" }),
    h("h1", { tabindex: "-1" }, "Echo Webhooks"),
    h("p", { class: "quiet" }, "Endpoints, deliveries and keys of your projects."),
    notice && h("p", { class: "notice", role: "alert" }, notice),
    tabs,
    place,
    h("p", { class: "hint" }, "You stay signed in until you sign out or close the last tab of this console."),
    h("p", { class: "hint" }, aboutAccounts()),
  );
}
