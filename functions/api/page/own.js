// The reader's own ids and language for the samples. They stay in the address (`docs?project_id=…`), as the console links here, so
// that a reload keeps them: an id is no secret. The key is typed for trying calls. It stays in its input, and so only in this page.

import { h } from "./dom.js";

export const base = location.origin + location.pathname.replace(/\/docs\/?$/, "");
export const LANGUAGES = ["curl", "Python", "Node", "Go"];

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const OWN = { project_id: "Project", webhook_id: "Endpoint", event_id: "Event", delivery_id: "Delivery" };

const own = new URLSearchParams(location.search);

/** Says "change" when an id or the language changes. */
export const ids = new EventTarget();

function set(name, value) {
  if (value) own.set(name, value);
  else own.delete(name);
  history.replaceState(null, "", `${own.size ? `?${own}` : location.pathname}${location.hash}`);
  ids.dispatchEvent(new Event("change"));
}

export const language = () => LANGUAGES.find((name) => name === own.get("language")) ?? LANGUAGES[0];
export const setLanguage = (name) => set("language", name === LANGUAGES[0] ? "" : name);

const nameOf = (parameter) => parameter.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** The reader's id for a parameter such as `projectId`, or nothing. */
export function ownId(parameter) {
  const id = own.get(nameOf(parameter)) ?? "";
  return nameOf(parameter) in OWN && UUID.test(id) ? id : "";
}

/** The path parameter `{projectId}` as the reader's id, or as PROJECT_ID for the reader to replace. */
export const placeholder = (_, parameter) => ownId(parameter) || nameOf(parameter).toUpperCase();

const key = h("input", { type: "password", autocomplete: "off", spellcheck: "false", placeholder: "echo_…" });

/** The credential that the reader typed, as a header, or nothing. */
export function credential() {
  const typed = key.value.trim();
  if (!typed) return {};
  return typed.startsWith("echo_") ? { "x-api-key": typed } : { authorization: `Bearer ${typed}` };
}

export const askForKey = () => key.focus();

/** Inputs for the ids and the key. */
export function ownIds() {
  const inputs = Object.entries(OWN).map(([name, label]) => {
    const input = h("input", { value: own.get(name) ?? "", placeholder: name.toUpperCase(), spellcheck: "false", autocomplete: "off" });
    input.addEventListener("input", () => set(name, input.value.trim().toLowerCase()));
    return h("label", {}, h("span", {}, `${label} id`), input);
  });
  return h("div", { class: "own" }, inputs,
    h("label", {}, h("span", {}, "Key or token, to try calls"), key, h("small", {}, "It is kept in this page only, until you close or reload it.")));
}
