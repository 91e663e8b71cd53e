// The endpoint's signing secret, and code with which its receiver verifies requests.

import { fill, h } from "./dom.js";
import { isPortal, secretLacking } from "./portal.js";
import { SNIPPETS } from "./snippets.js";
import { button, copyButton, link, segments } from "./widgets.js";

const HIDDEN = `whsec_${"•".repeat(12)}`;

export function verifyPanel({ signing_secret: secret }) {
  let isShown = false;
  let chosen = 0;
  const code = h("pre", { class: "code", tabindex: "0" });
  const secretText = h("code");
  const turn = () => {
    isShown = !isShown;
    show();
  };
  const reveal = button("", turn, { kind: "small ghost", mark: "eye" });
  const label = h("span");
  reveal.append(label);
  const snippet = (key) => SNIPPETS[chosen][1].replace("{secret}", key);
  const show = () => {
    const key = isShown ? secret : HIDDEN;
    fill(secretText, key);
    fill(label, isShown ? "Hide" : "Reveal");
    reveal.setAttribute("aria-pressed", String(isShown));
    fill(code, snippet(key));
  };
  const choose = (index) => {
    chosen = index;
    show();
  };
  const languages = SNIPPETS.map(([name]) => name);
  const { element: tabs, press } = segments("Language", languages, choose, "small");
  press(0);
  const copySecret = copyButton(() => secret, "Copy", { what: "Copy the signing secret", said: "Secret copied" });
  const copyCode = copyButton(() => snippet(secret), "Copy", {
    what: "Copy the code, with the secret in it",
    said: "Copied, with the secret in it",
  });
  const shown = secret ? h("p", { class: "secret" }, secretText, reveal, copySecret) : h("p", { class: "notice" }, secretLacking());
  return h(
    "div",
    { class: "stack" },
    h(
      "section",
      { class: "panel", "aria-labelledby": "secret-title" },
      h("h2", { id: "secret-title" }, "Signing secret"),
      h("p", { class: "quiet" }, "The service signs every attempt with this secret. Anyone who has the secret can forge requests."),
      shown,
    ),
    h(
      "section",
      { class: "panel flush", "aria-label": "Verification code" },
      h("div", { class: "bar" }, h("h2", null, "Verify a request"), tabs, secret && copyCode),
      code,
      h(
        "p",
        { class: "quiet inset" },
        "Verify the raw body before you parse its JSON. A delivery can arrive more than once, so ignore a webhook-id that you have handled before. Any Standard Webhooks library verifies with the same secret, and also refuses old requests.",
        // No page may frame the reference, as one may the portal.
        !isPortal && [" ", link("All headers of a request", "docs#receiveEvent"), "."],
      ),
    ),
  );
}
