// Finds an event, a delivery or an endpoint of the project by its id, from every view.

import { get } from "./api.js";
import { h } from "./dom.js";
import { toast, working } from "./widgets.js";

const UUID = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/i;
/** The answer's JSON, or null if there is no such thing. */
async function found(path) {
  try {
    return (await get(path)).json;
  } catch (problem) {
    if (problem.status === 404) return null;
    throw problem;
  }
}

/** The address of the thing with this id, or null. */
async function addressOf(id, project) {
  const [path, home] = [`v1/projects/${project}`, `#/projects/${project}`];
  const places = [`events/${id}`, `deliveries/${id}`, `webhooks/${id}`];
  const [event, delivery, endpoint] = await Promise.all(places.map((place) => found(`${path}/${place}`)));
  if (event) return `${home}/events/${id}`;
  if (delivery) return `${home}/endpoints/${delivery.webhook_endpoint_id}/deliveries/${id}`;
  return endpoint && `${home}/endpoints/${id}`;
}

export function searchForm(project) {
  const input = h("input", {
    type: "search",
    placeholder: "Find by id",
    "aria-label": "Find an event, a delivery or an endpoint by its id",
    autocomplete: "off",
    spellcheck: "false",
  });
  const place = h("div", { class: "search-fault" });
  const go = h("button", { type: "submit", class: "button small" }, "Find");
  const onsubmit = (event) => {
    event.preventDefault();
    const [id] = input.value.match(UUID) ?? [];
    if (!id) return toast("Enter a whole id, such as the webhook-id or x-echo-delivery of a request.");
    return working(go, place, async () => {
      const address = await addressOf(id.toLowerCase(), project);
      if (!address) return toast(`This project has no event, delivery or endpoint ${id}.`);
      input.value = "";
      location.hash = address;
      return undefined;
    });
  };
  return h("form", { class: "find", role: "search", "aria-label": "Find by id", onsubmit }, input, go, place);
}
