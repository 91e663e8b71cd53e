// A project's API keys.

import { change, get } from "./api.js";
import { formDialog, tell } from "./dialogs.js";
import { h } from "./dom.js";
import { plural, time } from "./format.js";
import { session } from "./session.js";
import { button, cell, copyButton, empty, field, mainCell, named, pill, table, toast, viewHead } from "./widgets.js";

async function createKey(query, done) {
  let made = null;
  const name = h("input", { type: "text", maxlength: "256", autocomplete: "off", placeholder: "Production backend" });
  await formDialog("New API key", named("name", "The name", field("Name", name, "For example, the place where you use the key.")), {
    action: "Create key",
    submit: async () => {
      made = (await change("POST", `v1/api-keys?${query}`, { name: name.value })).json;
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

export async function keysView({ project, signal, reload }) {
  const query = new URLSearchParams({ project_id: project });
  const { json: keys } = await get("v1/api-keys", { query: { project_id: project }, signal });
  const create = () => createKey(query, reload);
  const row = (key) =>
    h(
      "tr",
      { class: key.status === "revoked" ? "faded" : null },
      mainCell(h("b", null, key.name)),
      cell("Key", "", h("code", null, `${key.key_prefix}…`)),
      cell("Status", "status", pill(key.status)),
      cell("Created", "when", time(key.created_at)),
      h(
        "td",
        { class: "row-action" },
        key.status === "active"
          ? button("Revoke", () => revokeKey(key, query, reload), { kind: "small danger-text", "aria-label": `Revoke ${key.name}` })
          : h("span", { class: "quiet" }, "revoked ", time(key.updated_at)),
      ),
    );
  const headings = [["Name"], ["Key"], ["Status"], ["Created", "when"], [h("span", { class: "visually-hidden" }, "Actions")]];
  const active = keys.filter(({ status }) => status === "active").length;
  const content = [
    viewHead(
      "API keys",
      `${plural(active, "active key")}. A key gives access to this project only.`,
      button("New key", create, { kind: "primary", mark: "plus" }),
    ),
    h(
      "div",
      { class: "panel flush" },
      keys.length ? table(headings, keys.map(row)) : empty("No keys", "Your backend needs a key to post events."),
    ),
  ];
  return { title: "API keys", content };
}
