// A project's API keys.

import { change, get } from "./api.js";
import { formDialog, tell } from "./dialogs.js";
import { h } from "./dom.js";
import { plural, time } from "./format.js";
import { session } from "./session.js";
import { button, cell, copyButton, empty, field, mainCell, pill, table, toast, viewHead } from "./widgets.js";

async function createKey(query, done) {
  let made = null;
  const name = h("input", { type: "text", maxlength: "256", autocomplete: "off", placeholder: "Production backend" });
  await formDialog("New API key", field("Name", name, "Says where it is used, so that you know it when you revoke it."), {
    action: "Create key",
    submit: async () => {
      made = (await change("POST", `v1/api-keys?${query}`, { name: name.value })).json;
    },
  });
  if (!made) return;
  const copy = copyButton(() => made.key, "Copy key", { said: "Key copied" });
  await tell(
    "Your new API key",
    h("p", null, h("b", null, "Copy it now. "), "It is stored only as a hash and cannot be shown again."),
    h("p", { class: "secret" }, h("code", null, made.key), copy),
  );
  done();
}

function revokeKey(key, query, done) {
  const isOwn = session().kind === "key" && session().key.startsWith(key.key_prefix);
  const body = [
    h("p", null, h("b", null, key.name), " ", h("code", null, `${key.key_prefix}…`)),
    h("p", null, "Requests with it are refused within 5 seconds. This cannot be undone."),
    isOwn && h("p", { class: "notice" }, "It is the key you are signed in with: you will be signed out."),
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
      `${plural(active, "active key")}. A key opens this project and nothing else.`,
      button("New key", create, { kind: "primary", mark: "plus" }),
    ),
    h(
      "div",
      { class: "panel flush" },
      keys.length ? table(headings, keys.map(row)) : empty("No keys", "A backend needs one to post events."),
    ),
  ];
  return { title: "API keys", content };
}
