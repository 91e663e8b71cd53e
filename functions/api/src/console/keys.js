// A project's API keys, and the end of the project.

import { change, get, Problem } from "./api.js";
import { formDialog, tell } from "./dialogs.js";
import { h } from "./dom.js";
import { plural, time } from "./format.js";
import { session } from "./session.js";
import {
  actionCell,
  button,
  cell,
  checked,
  checks,
  copyButton,
  empty,
  field,
  mainCell,
  named,
  pill,
  table,
  tabs,
  toast,
  viewHead,
} from "./widgets.js";

const SCOPES = ["events:write", "read", "endpoints:write", "keys:write"];
const LIFETIMES = [
  ["Never", null],
  ["In 7 days", 7],
  ["In 30 days", 30],
  ["In 90 days", 90],
  ["In a year", 365],
];
const DAY_MS = 24 * 60 * 60 * 1_000;

function keyForm() {
  const name = h("input", { type: "text", maxlength: "256", autocomplete: "off", placeholder: "Production backend" });
  const scopes = checks("Scopes", SCOPES, SCOPES);
  const hint = h("p", { class: "hint" }, "A backend that only posts events needs ", h("code", null, "events:write"), " alone.");
  const lifetime = h(
    "select",
    null,
    LIFETIMES.map(([label], index) => h("option", { value: index }, label)),
  );
  scopes.append(hint);
  const read = () => {
    const chosen = checked(scopes);
    if (!chosen.length) throw new Problem(400, "Choose at least one scope.", { field: "scopes" });
    const days = LIFETIMES[lifetime.value][1];
    return { name: name.value, scopes: chosen, expires_at: days && new Date(Date.now() + days * DAY_MS).toISOString() };
  };
  const body = [
    named("name", "The name", field("Name", name, "For example, the place where you use the key.")),
    named("scopes", "The scopes", scopes),
    named("expires_at", "The end", field("Expires", lifetime)),
  ];
  return { body, read };
}

async function createKey(query, done) {
  let made = null;
  const { body, read } = keyForm();
  await formDialog("New API key", body, {
    action: "Create key",
    submit: async () => {
      made = (await change("POST", `v1/api-keys?${query}`, read())).json;
    },
  });
  if (!made) return;
  const copy = copyButton(() => made.key, "Copy key", { said: "Key copied" });
  await tell(
    "Your new API key",
    h("p", null, h("b", null, "Copy the key now. "), "The service keeps only a hash of the key, so it cannot show the key again."),
    h("p", { class: "secret" }, h("code", null, made.key), copy),
  );
  done();
}

function revokeKey(key, query, done) {
  const isOwn = session().kind === "key" && session().key.startsWith(key.key_prefix);
  const body = [
    h("p", null, h("b", null, key.name), " ", h("code", null, `${key.key_prefix}…`)),
    h("p", null, "After at most 5 seconds, the service refuses requests with this key. You cannot undo this."),
    isOwn && h("p", { class: "notice" }, "You are signed in with this key, so you will be signed out."),
  ];
  return formDialog("Revoke this key?", body, {
    action: "Revoke key",
    kind: "danger",
    submit: async () => {
      await change("PATCH", `v1/api-keys/${key.id}/revoke?${query}`);
      toast("Key revoked");
      done();
    },
  });
}

/** Erases the project with all that it has, and then calls `gone`. */
function deleteProject(path, name, gone) {
  const password = h("input", { type: "password", autocomplete: "current-password" });
  const body = [
    h("p", { class: "break" }, h("b", null, name)),
    h(
      "p",
      null,
      "The service erases the project with its keys, endpoints, events and deliveries. What waits is not delivered. You cannot undo this.",
    ),
    named("password", "The password", field("Your password", password)),
  ];
  return formDialog("Delete this project?", body, {
    action: "Delete permanently",
    kind: "danger",
    submit: async () => {
      await change("DELETE", path, { password: password.value });
      toast("Project deleted");
      gone();
    },
  });
}

const scopesOf = (key) =>
  SCOPES.every((scope) => key.scopes.includes(scope))
    ? "All"
    : h(
        "span",
        { class: "chips" },
        key.scopes.map((scope) => h("span", { class: "chip" }, scope)),
      );

const statusOf = (key) => (key.status === "active" && key.expires_at && Date.parse(key.expires_at) <= Date.now() ? "expired" : key.status);

/** What gives access to a project. */
export const accessTabs = (current, home) =>
  tabs("Access", current, [
    ["keys", "API keys", `${home}/keys`],
    ["portal-links", "Portal links", `${home}/portal-links`],
    ["activity", "Activity", `${home}/activity`],
  ]);

export async function keysView({ project, path, home, name, signal, reload, gone }) {
  const query = new URLSearchParams({ project_id: project });
  const { json: keys } = await get("v1/api-keys", { query: { project_id: project }, signal });
  const create = () => createKey(query, reload);
  const row = (key) =>
    h(
      "tr",
      { class: statusOf(key) === "active" ? null : "faded" },
      mainCell(h("b", null, key.name)),
      cell("Key", "", h("code", null, `${key.key_prefix}…`)),
      cell("Scopes", "", scopesOf(key)),
      cell("Status", "status", pill(statusOf(key))),
      cell("Created", "when", time(key.created_at)),
      cell("Expires", "when", key.expires_at ? time(key.expires_at) : "Never"),
      actionCell(
        key.status === "active"
          ? button("Revoke", () => revokeKey(key, query, reload), { kind: "small danger-text", "aria-label": `Revoke ${key.name}` })
          : h("span", { class: "quiet" }, "revoked ", time(key.updated_at)),
      ),
    );
  const headings = [
    ["Name"],
    ["Key"],
    ["Scopes"],
    ["Status"],
    ["Created", "when"],
    ["Expires", "when"],
    [h("span", { class: "visually-hidden" }, "Actions")],
  ];
  const active = keys.filter((key) => statusOf(key) === "active").length;
  const content = [
    viewHead(
      "API keys",
      `${plural(active, "active key")}. A key gives access to this project only.`,
      button("New key", create, { kind: "primary", mark: "plus" }),
    ),
    accessTabs("keys", home),
    h(
      "div",
      { class: "panel flush" },
      keys.length ? table(headings, keys.map(row)) : empty("No keys", "Your backend needs a key to post events."),
    ),
    session().kind === "account" &&
      h(
        "div",
        { class: "actions" },
        button("Delete project", () => deleteProject(path, name, gone), { kind: "danger-text" }),
      ),
  ];
  return { title: "API keys", content };
}
