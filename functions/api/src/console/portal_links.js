// A project's portal links: each opens the project to its customer, for a time, without an account or a key.

import { change, get } from "./api.js";
import { dialog, formDialog } from "./dialogs.js";
import { h } from "./dom.js";
import { plural, span, time } from "./format.js";
import { accessTabs } from "./keys.js";
import { actionCell, button, cell, copyButton, empty, field, mainCell, named, pill, shortId, table, toast, viewHead } from "./widgets.js";

const HOUR = 3_600;
const GOOD_FOR = [
  ["15 minutes", HOUR / 4],
  ["1 hour", HOUR],
  ["8 hours", 8 * HOUR],
  ["24 hours", 24 * HOUR],
];
const SESSIONS = [
  ["1 hour", HOUR],
  ["8 hours", 8 * HOUR],
  ["24 hours", 24 * HOUR],
];

const select = (options, chosen) =>
  h(
    "select",
    null,
    options.map(([label, value]) => h("option", { value, selected: value === chosen }, label)),
  );

async function createLink(path, done) {
  let made = null;
  const goodFor = select(GOOD_FOR, HOUR);
  const session = select(SESSIONS, 8 * HOUR);
  const readOnly = h("input", { type: "checkbox" });
  const body = [
    h("p", null, "The link opens this project alone, with its endpoints, deliveries and events, and shows no keys. It works once."),
    h(
      "div",
      { class: "pair" },
      named("expires_in_seconds", "The end", field("To be opened within", goodFor)),
      named("session_seconds", "The session", field("Once opened, it lasts", session)),
    ),
    h(
      "div",
      { class: "checks plain" },
      h("label", null, readOnly, h("span", null, "Only for looking: it changes nothing and shows no secrets")),
    ),
  ];
  await formDialog("New portal link", body, {
    action: "Create link",
    submit: async () => {
      const asked = { expires_in_seconds: Number(goodFor.value), session_seconds: Number(session.value), read_only: readOnly.checked };
      made = (await change("POST", `${path}/portal-links`, asked)).json;
    },
  });
  if (!made) return;
  await dialog(
    "Your new portal link",
    (close) => [
      h("p", null, h("b", null, "Copy the link now. "), "The service keeps only a hash of its code, so it cannot show the link again."),
      h(
        "p",
        { class: "secret" },
        h("code", null, made.url),
        copyButton(() => made.url, "Copy link", { said: "Link copied" }),
      ),
      h("p", { class: "hint" }, "The first person who opens it has access. If nobody does, it ends ", time(made.expires_at), "."),
      h("div", { class: "actions" }, button("Done", close, { kind: "primary", autofocus: true })),
    ],
    { stays: true },
  );
  done();
}

function endLink(path, link, done) {
  const text = link.redeemed_at
    ? "Its session ends after at most 5 seconds. A person who opened it needs another link."
    : "The link can no longer be opened.";
  return formDialog("End this link?", h("p", null, text), {
    action: "End link",
    kind: "danger",
    submit: async () => {
      await change("DELETE", `${path}/portal-links/${link.id}`);
      toast("Portal link ended");
      done();
    },
  });
}

function row(path, link, reload) {
  const end = link.redeemed_at
    ? ["its session ends ", time(link.session_expires_at)]
    : ["ends ", time(link.expires_at), ` or, once opened, after ${span(link.session_seconds * 1_000)}`];
  return h(
    "tr",
    null,
    mainCell(h("b", null, link.read_only ? "For looking" : "For changes"), shortId(link.id)),
    cell("Status", "status", pill(link.redeemed_at ? "opened" : "unopened")),
    cell("Made by", "", link.created_by === "account" ? "an account" : h("span", null, "the key ", shortId(link.created_by))),
    cell("Created", "when", time(link.created_at)),
    cell("End", "quiet", h("span", null, end)),
    actionCell(button("End", () => endLink(path, link, reload), { kind: "small danger-text" })),
  );
}

export async function portalLinksView({ path, home, signal, reload }) {
  const { json: links } = await get(`${path}/portal-links`, { signal });
  const create = () => createLink(path, reload);
  const headings = [["Link"], ["Status"], ["Made by"], ["Created", "when"], ["End"], [h("span", { class: "visually-hidden" }, "Actions")]];
  const content = [
    viewHead(
      "Portal links",
      `${plural(links.length, "link")}. A link opens this project to your customer, without an account.`,
      button("New link", create, { kind: "primary", mark: "plus" }),
    ),
    accessTabs("portal-links", home),
    h(
      "div",
      { class: "panel flush" },
      links.length
        ? table(
            headings,
            links.map((link) => row(path, link, reload)),
          )
        : empty("No portal links", "Links that are over, and those that were ended, are not listed."),
    ),
  ];
  return { title: "Portal links", content };
}
