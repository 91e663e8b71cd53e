// The session. Only this tab keeps it, until the tab closes. It is never in a URL, a cookie or permanent storage.

import { keepPortal, PORTAL, portalSession } from "./portal_session.js";

const NAME = "echo-console";

let current = null;
try {
  current = JSON.parse(sessionStorage.getItem(NAME));
} catch {
  // The browser may forbid storage. Then a reload ends the session.
}

/** `{ kind: "account", email, access, refresh }`, `{ kind: "key", key }` or null. The portal's is in portal_session.js. */
export const session = () => (PORTAL ? portalSession() : current);

export function keep(next) {
  if (PORTAL) return keepPortal(next);
  current = next;
  try {
    if (next) sessionStorage.setItem(NAME, JSON.stringify(next));
    else sessionStorage.removeItem(NAME);
  } catch {
    // The browser forbids storage, as above.
  }
}
