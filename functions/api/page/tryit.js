// Trying a call: a form with the call's parameters and body, which sends it to this service and shows the answer.

import { h } from "./dom.js";
import { askForKey, base, credential, ids, ownId } from "./own.js";
import { example, resolve } from "./schema.js";

const PATIENCE_MS = 30_000;
const HEADERS = ["x-request-id", "retry-after", "allow", "content-type"];

/** A text of JSON with line ends, unless that would change a number's spelling. */
function laidOut(text) {
  try {
    const value = JSON.parse(text);
    return JSON.stringify(value) === text ? JSON.stringify(value, null, 2) : text;
  } catch {
    return text;
  }
}

async function send({ path, method, inputs, body }) {
  let filled = path;
  const query = new URLSearchParams();
  for (const [{ name, in: place }, field] of inputs) {
    const value = field.value.trim();
    if (place === "path") filled = filled.replace(`{${name}}`, encodeURIComponent(value || name));
    else if (value) query.set(name, value);
  }
  const headers = credential();
  if (body?.value.trim()) headers["content-type"] = "application/json";
  const began = performance.now();
  const answer = await fetch(`${base}${filled}${query.size ? `?${query}` : ""}`, {
    method: method.toUpperCase(),
    headers,
    body: body?.value.trim() || undefined,
    credentials: "omit",
    cache: "no-store",
    redirect: "error",
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  return { answer, text: await answer.text(), took: Math.round(performance.now() - began) };
}

function shown({ answer, text, took }) {
  const head = HEADERS.filter((name) => answer.headers.has(name)).map((name) => `${name}: ${answer.headers.get(name)}`);
  return [
    h("p", {}, h("span", { class: `status ${answer.ok ? "good" : "bad"}` }, String(answer.status)), `after ${took} ms`),
    h("pre", { tabindex: "0", "aria-label": "Answer" }, h("code", {}, [...head, "", laidOut(text)].join("\n").trim())),
  ];
}

function inputFor(parameter) {
  const made = h("input", { value: ownId(parameter.name), spellcheck: "false", autocomplete: "off" });
  // An id that the reader typed at the top holds until the reader types another one here.
  let isOwn = false;
  made.addEventListener("input", () => {
    isOwn = true;
  });
  ids.addEventListener("change", () => {
    if (!isOwn) made.value = ownId(parameter.name);
  });
  return made;
}

function form(path, method, operation) {
  const parameters = (operation.parameters ?? []).map(resolve).filter((each) => each.in === "path" || each.in === "query");
  const inputs = parameters.map((each) => [each, inputFor(each)]);
  const given = example(operation.requestBody?.content["application/json"]);
  const body = operation.requestBody && h("textarea", { rows: "8", spellcheck: "false", autocomplete: "off" });
  if (body) body.value = given ? JSON.stringify(given, null, 2) : "";
  const needsKey = (operation.security ?? []).every((each) => Object.keys(each).length > 0);
  const press = h("button", { type: "submit", class: "press" }, `Send ${method.toUpperCase()}`);
  const result = h("div", { class: "result", role: "status" });
  const made = h("form", { class: "try" },
    inputs.map(([each, field]) => h("label", {}, h("span", {}, each.name), field)),
    body && h("label", {}, h("span", {}, "Body"), body),
    h("p", { class: "soft" }, "The call is real: it acts on your project."),
    press, result);
  made.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (press.disabled) return;
    if (needsKey && !Object.keys(credential()).length) {
      result.replaceChildren(h("p", { class: "problem" }, "Type your key or token at the top of this page first."));
      askForKey();
      return;
    }
    press.disabled = true;
    try {
      result.replaceChildren(...shown(await send({ path, method, inputs, body })));
    } catch (error) {
      const why = error.name === "TimeoutError" ? "The service did not answer in time." : "The service cannot be reached.";
      result.replaceChildren(h("p", { class: "problem" }, why));
    } finally {
      press.disabled = false;
    }
  });
  return made;
}

/** The form, made when it is first opened. */
export function tryIt(path, method, operation) {
  const place = h("details", { class: "answer trial" }, h("summary", {}, "Try it"));
  place.addEventListener("toggle", () => place.querySelector("form") ?? place.append(form(path, method, operation)), { once: true });
  return place;
}
