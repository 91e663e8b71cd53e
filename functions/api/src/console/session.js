// The session. Each tab keeps it until the tab closes. It is never in a URL, a cookie or permanent storage. A new tab asks the other
// tabs of this browser for it over a BroadcastChannel, which only pages of this origin hear, so that a link can open in a new tab, and
// the session ends for the browser when its last tab closes.
//
// (Rejected: a cookie that scripts cannot read. The browser would send it with every request by itself, so the API would need a second
// way to authenticate and a defence against forged requests, and browsers that restore their tabs keep such cookies on disk.)

import { keepPortal, PORTAL, portalSession } from "./portal_session.js";

// Two deployments may stand below two paths of one host, and neither may get the other's tokens.
const NAME = `echo-console ${new URL(".", location.href).pathname}`;
const ANSWER_MS = 100;

let current = null;
let told = () => {};
/** The answers of other tabs, while this tab asks. */
let answers = null;

try {
  current = JSON.parse(sessionStorage.getItem(NAME));
} catch {
  // The browser may forbid storage. Then a reload ends the session, unless another tab has it.
}

const channel = PORTAL || !globalThis.BroadcastChannel ? null : new BroadcastChannel(NAME);

function store(next) {
  current = next;
  try {
    if (next) sessionStorage.setItem(NAME, JSON.stringify(next));
    else sessionStorage.removeItem(NAME);
  } catch {
    // The browser forbids storage, as above.
  }
}

/** Whether this is our own session with newer tokens. */
const isNewer = (theirs) => current && theirs.id === current.id && theirs.at > current.at;

if (channel) {
  channel.onmessage = ({ data: { said, session: theirs } }) => {
    if (said === "who" && current) channel.postMessage({ said: "me", session: current });
    if (said === "me") answers?.push(theirs);
    if (said === "renewed" && isNewer(theirs)) store(theirs);
    if (said === "ended" && current?.id === theirs.id) {
      store(null);
      told();
    }
  };
}

/** `{ id, at, kind: "account", email, access, refresh }`, `{ id, at, kind: "key", key }` or null. */
export const session = () => (PORTAL ? portalSession() : current);

/** Begins a session, which the other tabs of the browser do not have yet. */
export function begin(next) {
  const id = [...crypto.getRandomValues(new Uint8Array(16))].join(".");
  store({ id, at: Date.now(), ...next });
}

/** Puts newer tokens in place of the session's, in all tabs. */
export function renew(next) {
  store({ ...current, ...next, at: Date.now() });
  channel?.postMessage({ said: "renewed", session: current });
}

/** Ends the session in all tabs. */
export function end() {
  if (PORTAL) return keepPortal(null);
  if (current) channel?.postMessage({ said: "ended", session: { id: current.id } });
  store(null);
}

/** Takes the session of another tab: any if this tab has none, and otherwise its own with newer tokens. Resolves to whether it did. */
export async function takeOver() {
  if (!channel) return false;
  answers = [];
  channel.postMessage({ said: "who" });
  await new Promise((resolve) => {
    setTimeout(resolve, ANSWER_MS);
  });
  const [newest] = answers.filter((theirs) => !current || isNewer(theirs)).sort((one, other) => other.at - one.at);
  answers = null;
  if (newest) store(newest);
  return Boolean(newest);
}

/** Calls `act` when another tab has ended the session. */
export function onEnd(act) {
  told = act;
}

/** Does the work while no other tab does such work. */
export const alone = (work) => (navigator.locks ? navigator.locks.request(NAME, work) : work());
