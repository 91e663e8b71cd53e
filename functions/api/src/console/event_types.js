// The event types of the account, in all of its projects. Signed-in accounts change them.

import { change, get } from "./api.js";
import { formDialog } from "./dialogs.js";
import { h } from "./dom.js";
import { viewHead } from "./widgets.js";

export async function eventTypesView() {
  return { title: "Event types", content: [viewHead("Event types")] };
}
