// The session. Only this tab keeps it, until the tab closes. It is never in a URL, a cookie or permanent storage.

const NAME = "echo-console";

let current = null;
try {
  current = JSON.parse(sessionStorage.getItem(NAME));
} catch {
  // The browser may forbid storage. Then a reload ends the session.
}

/** `{ kind: "account", email, access, refresh }`, `{ kind: "key", key }` or null. */
export const session = () => current;

export function keep(next) {
  current = next;
  try {
    if (next) sessionStorage.setItem(NAME, JSON.stringify(next));
    else sessionStorage.removeItem(NAME);
  } catch {
    // The browser forbids storage, as above.
  }
}
