// Calls to the API that serves this page.

import { rawField } from "./json.js";
import { keep, session } from "./session.js";

/** The API is beside this page, whatever path is in front of both: /console and /v1, /api/console and /api/v1. */
const ROOT = new URL("./", document.baseURI);
const PATIENCE_MS = 30_000;
const MOST_WAIT_S = 5;

/** An answer that is not a success, or none at all. */
export class Problem extends Error {
  constructor(status, message, { requestId = null, retryAfter = null } = {}) {
    super(message);
    Object.assign(this, { status, requestId, retryAfter });
  }
}

/** The credential no longer works; a `Problem` that only signing in again solves. */
export class SignedOut extends Problem {}

async function send(method, path, { query = {}, body, signal, authorization = {} }) {
  const url = new URL(path, ROOT);
  for (const [name, value] of Object.entries(query)) if (value) url.searchParams.set(name, value);
  const headers = { ...authorization };
  if (body !== undefined) headers["content-type"] = "application/json";
  const signals = [AbortSignal.timeout(PATIENCE_MS), ...(signal ? [signal] : [])];
  try {
    const options = { method, headers, body: body && JSON.stringify(body), signal: AbortSignal.any(signals) };
    const answer = await fetch(url, { ...options, credentials: "omit", cache: "no-store", redirect: "error" });
    return { answer, text: await answer.text() };
  } catch (error) {
    if (signal?.aborted) throw error;
    const slow = error.name === "TimeoutError";
    throw new Problem(0, slow ? "The service did not answer in time." : "The service cannot be reached.");
  }
}

function read({ answer, text }) {
  const requestId = answer.headers.get("x-request-id");
  if (answer.ok) return { text, json: text ? JSON.parse(text) : null };
  const retryAfter = Number(answer.headers.get("retry-after")) || null;
  let message = `The service answered ${answer.status}.`;
  try {
    message = JSON.parse(text).message ?? message;
  } catch {
    // Not from our API but from something in front of it.
  }
  throw new Problem(answer.status, message, { requestId, retryAfter });
}

const authorizationOf = (who) => (who.kind === "key" ? { "x-api-key": who.key } : { authorization: `Bearer ${who.access}` });

let refreshing = null;

/** One refresh at a time, whoever asks; false when the session is over. */
function refresh(who) {
  refreshing ??= (async () => {
    try {
      const { json } = read(await send("POST", "auth/refresh", { authorization: { authorization: `Bearer ${who.refresh}` } }));
      if (session()) keep({ ...who, access: json.access_token, refresh: json.refresh_token });
      return true;
    } catch (problem) {
      if (problem.status === 401) return false;
      throw problem;
    } finally {
      refreshing = null;
    }
  })();
  return refreshing;
}

async function authorized(method, path, options) {
  const who = session();
  if (!who) throw new SignedOut(401, "Sign in to go on.");
  let sent = await send(method, path, { ...options, authorization: authorizationOf(who) });
  if (sent.answer.status === 401 && who.kind === "account") {
    // Another call may have refreshed meanwhile.
    if (session()?.access !== who.access || (await refresh(who))) {
      if (session()) sent = await send(method, path, { ...options, authorization: authorizationOf(session()) });
    }
  }
  if (sent.answer.status === 401) {
    keep(null);
    const ended = who.kind === "key" ? "The API key no longer works. Sign in again." : "Your session has ended. Sign in again to go on.";
    throw new SignedOut(401, ended);
  }
  return read(sent);
}

const pause = (seconds, signal) =>
  new Promise((resolve, reject) => {
    setTimeout(resolve, seconds * 1_000);
    signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
  });

/** A reading call; one that is told to come back soon does so by itself, twice. */
export async function get(path, { query, signal } = {}) {
  for (let tries = 1; ; tries += 1) {
    try {
      return await authorized("GET", path, { query, signal });
    } catch (problem) {
      if (tries === 3 || problem.status !== 503 || problem.retryAfter > MOST_WAIT_S) throw problem;
      await pause(problem.retryAfter ?? 1, signal);
    }
  }
}

/** A call that changes something. It is repeated by a person only. */
export const change = (method, path, body) => authorized(method, path, { body });

export async function signIn(email, password) {
  const { json } = read(await send("POST", "auth/login", { body: { email, password } }));
  keep({ kind: "account", email: json.user.email, access: json.access_token, refresh: json.refresh_token });
}

export async function signInWithKey(key) {
  read(await send("GET", "v1/projects", { authorization: { "x-api-key": key } }));
  keep({ kind: "key", key });
}

export const projects = async (signal) => (await get("v1/projects", { signal })).json;

/** A field of an answer in the bytes it came in. */
export const raw = (answer, name) => rawField(answer.text, name);

/** The event names of this deployment. */
export const EVENT_NAMES = document.querySelector('meta[name="event-names"]').content.split(/, */);
