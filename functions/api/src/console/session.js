// Who is signed in. Kept in this tab alone and gone with it: never in a URL, a cookie or lasting storage.

const NAME = "echo-console";

let current = null;
try {
  current = JSON.parse(sessionStorage.getItem(NAME));
} catch {
  // Storage can be forbidden; then a reload signs out.
}

/** `{ kind: "account", email, access, refresh }`, `{ kind: "key", key }` or null. */
export const session = () => current;

export function keep(next) {
  current = next;
  try {
    if (next) sessionStorage.setItem(NAME, JSON.stringify(next));
    else sessionStorage.removeItem(NAME);
  } catch {
    // As above.
  }
}
