// The portal's session. The portal is this page under another name, with fewer rights (see portal.js), and what it keeps is apart
// from the console's session. Two portals can stand in one tab, embedded side by side, so each link has a place of its own.
//
// The address names the link (?link=…), so that a reload finds the session. An embedding page may load the portal with the used code
// again, and the code names the link too. Where the browser forbids storage to an embedded page, a reload ends the session.

const MARK = document.querySelector('meta[name="portal"]');

/** The portal's name and colour; null in the console. */
export const PORTAL = MARK && { name: MARK.content, accent: document.querySelector('meta[name="portal-accent"]').content };

const LINK = /^[0-9a-f]{32}$/;
const nonces = new Map();
let current = null;

/** The code in the address, or null. The link's id is its second quarter. */
export const code = () => location.hash.match(/^#([0-9a-f]{128})$/)?.[1] ?? null;

/** The id of the link in the address, or null. */
export function linkId() {
  const id = code()?.slice(32, 64) ?? new URLSearchParams(location.search).get("link") ?? "";
  return LINK.test(id) ? id : null;
}

function stored(name) {
  try {
    return JSON.parse(sessionStorage.getItem(name));
  } catch {
    return null;
  }
}

function store(name, value) {
  try {
    if (value) sessionStorage.setItem(name, JSON.stringify(value));
    else sessionStorage.removeItem(name);
  } catch {
    // The browser forbids storage.
  }
}

const placeOf = (id) => `echo-portal:${id}`;

/** `{ kind: "portal", link, access, project, readOnly, until }` or null. */
export function portalSession() {
  const id = linkId();
  if (current?.link !== id) {
    const found = id && stored(placeOf(id));
    current = found?.access ? found : null;
  }
  return current;
}

/** Keeps the session, or with null ends it here. */
export function keepPortal(next) {
  const id = next?.link ?? current?.link;
  if (id) store(placeOf(id), next);
  current = next;
}

/** What goes with the code, so that a lost answer is given again. It is the same until the code is redeemed. */
export function nonce() {
  const id = linkId();
  const found = stored(placeOf(id))?.nonce ?? nonces.get(id);
  if (found) return found;
  const made = [...crypto.getRandomValues(new Uint8Array(32))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  nonces.set(id, made);
  store(placeOf(id), { nonce: made });
  return made;
}

/** Takes the code out of the address, which names the link from then on. */
export function hideCode() {
  const id = linkId();
  if (code()) history.replaceState(null, "", `${location.pathname}?link=${id}`);
}
