// The activity list: the changes of a project, each with its maker, address and time.

import { get } from "./api.js";
import { h } from "./dom.js";
import { breakable, time } from "./format.js";
import { accessTabs } from "./keys.js";
import { log, PAGE } from "./log.js";
import { session } from "./session.js";
import { cell, empty, link, mainCell, shortId, viewHead } from "./widgets.js";

const HEADINGS = [["Change"], ["By"], ["From"], ["When", "when"]];
const DONE = {
  "project.created": "Created the project",
  "endpoint.created": "Created the endpoint",
  "endpoint.changed": "Changed the endpoint",
  "endpoint.enabled": "Enabled the endpoint",
  "endpoint.disabled": "Disabled the endpoint",
  "endpoint.secret_rotated": "Rotated the secret of the endpoint",
  "endpoint.replay_started": "Started a replay to the endpoint",
  "endpoint.deleted": "Deleted the endpoint",
  "api_key.created": "Created the API key",
  "api_key.revoked": "Revoked the API key",
  "portal_link.created": "Created the portal link",
  "portal_link.redeemed": "Opened the portal link",
  "portal_link.ended": "Ended the portal link",
  "event.payload_erased": "Erased the payload of the event",
};
const FIELDS = {
  url: "URL",
  events: "Events",
  status: "Status",
  description: "Description",
  headers: "Custom headers",
  rate_limit_per_second: "Rate limit",
  ordered: "Order",
  filter: "Filter",
  ed25519: "Ed25519 key",
  auth: "Authentication",
};

/** What a call lists; nothing where the person's key does not open the list. */
async function listed(path, options) {
  try {
    return (await get(path, options)).json;
  } catch (problem) {
    if (problem.status === 403) return [];
    throw problem;
  }
}

function nameOfKey(id, keys) {
  const key = keys.get(id);
  return key ? [h("b", null, key.name), " ", h("code", { class: "quiet" }, `${key.key_prefix}…`)] : shortId(id);
}

/** The thing that was changed. A thing that is gone has no address. */
function thing({ action, resource_id: id }, { endpoints, keys, home }) {
  const [kind] = action.split(".");
  if (kind === "project") return null;
  if (kind === "event") return link(`…${id.slice(-12)}`, `${home}/events/${id}`, { title: id, class: "small-id" });
  if (kind === "api_key") return h("span", { class: "break" }, nameOfKey(id, keys));
  if (kind === "endpoint" && endpoints.has(id))
    return link(breakable(endpoints.get(id)), `${home}/endpoints/${id}`, { class: "url clamped" });
  return shortId(id);
}

function actor({ actor: { type, id } }, { keys }) {
  if (type === "service") return "the service";
  if (type === "account") return session().kind === "account" ? "you" : "the account";
  if (type === "portal_link") return h("span", null, "the portal link ", shortId(id));
  const key = keys.get(id);
  const isOwn = session().kind === "key" && key && session().key.startsWith(key.key_prefix);
  return h("span", { class: "break" }, isOwn ? "you, with " : "the key ", nameOfKey(id, keys));
}

/** The fields that have another value since. The change of a status is told already. */
function changed({ fields }) {
  const others = fields.filter((name) => name !== "status");
  const chip = (name) => h("span", { class: "chip" }, FIELDS[name] ?? name);
  return others.length > 0 && h("span", { class: "chips" }, h("span", { class: "visually-hidden" }, "Fields: "), others.map(chip));
}

/** The caller's address, which may wrap between the parts of IPv6. */
function address({ from }) {
  if (!from) return h("span", { "aria-hidden": "true" }, "–");
  const parts = from.split(/(?<=:)/).flatMap((part) => [part, h("wbr")]);
  return h("code", null, parts);
}

function row(entry, about) {
  // A keyboard user who reads on comes to the first new row, also where it has no link.
  const said = h("span", { tabindex: "-1" }, DONE[entry.action] ?? entry.action);
  return h(
    "tr",
    null,
    mainCell(said, " ", thing(entry, about), changed(entry)),
    cell("By", "", actor(entry, about)),
    cell("From", "quiet", address(entry)),
    cell("When", "when", time(entry.created_at)),
  );
}

export async function activityView({ project, path, home, query, signal }) {
  const [endpoints, keys] = await Promise.all([
    listed(`${path}/webhooks`, { signal }),
    listed("v1/api-keys", { query: { project_id: project }, signal }),
  ]);
  const about = {
    endpoints: new Map(endpoints.map(({ id, url }) => [id, url])),
    keys: new Map(keys.map((key) => [key.id, key])),
    home,
  };
  const { section } = log({
    label: "Activity",
    ...{ here: `${home}/activity`, query, signal },
    headings: HEADINGS,
    nothing: empty("No activity", "Changes appear here. They are kept as long as events."),
    load: async ({ filters, cursor }) => (await get(`${path}/audit`, { query: { ...filters, limit: PAGE, cursor }, signal })).json,
    row: (entry) => row(entry, about),
    isMoving: () => false,
  });
  const head = viewHead(
    "Activity",
    "The changes of the project, each with its maker, address and time: endpoints, keys, secrets, portal links, replays and erased payloads. No value of a field is kept here.",
  );
  return { title: "Activity", content: [head, accessTabs("activity", home), section] };
}
