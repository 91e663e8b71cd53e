// Calls to the API that serves this page.

import { rawField, write } from "./json.js";
import { alone, begin, end, renew, session, takeOver } from "./session.js";

/** The API and this page share a prefix: /console goes with /v1, and /api/console with /api/v1. */
const ROOT = new URL("./", document.baseURI);
const PATIENCE_MS = 30_000;
const MOST_WAIT_S = 5;

/** A call that failed: the service refused it, or no answer came. `field` names the form field to show it at. */
export class Problem extends Error {
  constructor(status, message, { requestId = null, retryAfter = null, field = null } = {}) {
    super(message);
    Object.assign(this, { status, requestId, retryAfter, field });
  }
}

/** The API no longer accepts the credential, so the person must sign in again. */
export class SignedOut extends Problem {}

async function send(method, path, { query = {}, body, signal, authorization = {} }) {
  const url = new URL(path, ROOT);
  for (const [name, value] of Object.entries(query)) if (value) url.searchParams.set(name, value);
  const headers = { ...authorization };
  if (body !== undefined) headers["content-type"] = "application/json";
  const signals = [AbortSignal.timeout(PATIENCE_MS), ...(signal ? [signal] : [])];
  try {
    const options = { method, headers, body: body && write(body), signal: AbortSignal.any(signals) };
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
  if (answer.ok) {
    try {
      return { text, json: text ? JSON.parse(text) : null };
    } catch {
      const said = `The answer has the status ${answer.status}, but it is not JSON.`;
      throw new Problem(answer.status, `${said} Something between this page and the service may have replaced it.`, { requestId });
    }
  }
  const retryAfter = Number(answer.headers.get("retry-after")) || null;
  let message = `The service answered ${answer.status}.`;
  try {
    message = JSON.parse(text).message ?? message;
  } catch {
    // A proxy in front of the API sent this answer.
  }
  throw new Problem(answer.status, message, { requestId, retryAfter });
}

const ENDED = {
  account: "Your session has ended. Sign in again to continue.",
  key: "The API key no longer works. Sign in again.",
  portal: "Your session has ended. Ask for another link.",
};

const authorizationOf = (account) =>
  account.kind === "key" ? { "x-api-key": account.key } : { authorization: `Bearer ${account.access}` };

const signedIn = (json) => ({ kind: "account", email: json.user.email, access: json.access_token, refresh: json.refresh_token });

let refreshing = null;

async function refreshed() {
  // Another tab may have refreshed while this one slept. A refresh token that is used twice can end the session.
  if (await takeOver()) return true;
  const account = session();
  if (!account) return false;
  try {
    const { json } = read(await send("POST", "auth/refresh", { authorization: { authorization: `Bearer ${account.refresh}` } }));
    if (session()?.id === account.id) renew(signedIn(json));
    return true;
  } catch (problem) {
    if (problem.status === 401) return false;
    throw problem;
  }
}

/** Refreshes the session. Calls at the same time share one refresh. Resolves to false when the session has ended. */
function refresh() {
  refreshing ??= alone(refreshed).finally(() => {
    refreshing = null;
  });
  return refreshing;
}

async function authorized(method, path, options) {
  const account = session();
  if (!account) throw new SignedOut(401, "Sign in to continue.");
  let sent = await send(method, path, { ...options, authorization: authorizationOf(account) });
  if (sent.answer.status === 401 && account.kind === "account") {
    // Another call may have refreshed the session in the meantime.
    if (session()?.access !== account.access || (await refresh())) {
      if (session()) sent = await send(method, path, { ...options, authorization: authorizationOf(session()) });
    }
  }
  if (sent.answer.status === 401) {
    end();
    throw new SignedOut(401, ENDED[account.kind]);
  }
  return read(sent);
}

const pause = (seconds, signal) =>
  new Promise((resolve, reject) => {
    setTimeout(resolve, seconds * 1_000);
    signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
  });

/** Reads from the API. If the API is busy and asks for a short wait, the call is repeated up to twice. */
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

/** Changes something. Such a call is never repeated automatically. */
export const change = (method, path, body) => authorized(method, path, { body });

/** Who may sign up here: "open" for all, "token" for those with the operator's token, or "closed". */
export const SIGN_UP = document.querySelector('meta[name="sign-up"]')?.content ?? "closed";

/** Makes an account and signs in with it. Resolves to the first key of its project, which the service shows only now. */
export async function signUp(fields, token) {
  const authorization = token ? { "x-signup-token": token } : {};
  const { json } = read(await send("POST", "auth/signup", { body: fields, authorization }));
  begin(signedIn(json));
  return json.default_project.api_key;
}

export async function signIn(email, password) {
  const { json } = read(await send("POST", "auth/login", { body: { email, password } }));
  begin(signedIn(json));
}

/** Signs out: the tabs at once, and then the service, which ends the session. */
export async function signOut() {
  const account = session();
  end();
  if (!account || account.kind === "key") return;
  // The refresh token lasts longer than the access token, and either ends the session. A portal has one token.
  const sent = await send("POST", "auth/logout", { authorization: { authorization: `Bearer ${account.refresh ?? account.access}` } });
  // The session may have ended by itself.
  if (sent.answer.status !== 401) read(sent);
}

export async function signOutEverywhere() {
  await change("POST", "auth/logout?everywhere=true");
  end();
}

/** Changes the password. All sessions end, and this browser keeps the new one. */
export async function changePassword(current, next) {
  const { json } = await change("POST", "auth/password", { current_password: current, new_password: next });
  renew(signedIn(json));
}

export async function signInWithKey(key) {
  read(await send("GET", "v1/projects", { authorization: { "x-api-key": key } }));
  begin({ kind: "key", key });
}

/** Redeems the code of a portal link. */
export const openPortal = async (code, nonce) => read(await send("POST", "auth/portal", { body: { code, nonce } })).json;

export const projects = async (signal) => (await get("v1/projects", { signal })).json;

/** One field of an answer, byte for byte as it came. */
export const raw = (answer, name) => rawField(answer.text, name);
