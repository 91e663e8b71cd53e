// A call of the API in four languages, and a request as a receiver gets it.

import { h } from "./dom.js";
import { base, ids, language, LANGUAGES, placeholder, setLanguage } from "./own.js";
import { example, flat, spec } from "./schema.js";

export function sample(title, text, shown = text) {
  const copy = h("button", { type: "button" }, "Copy");
  const code = h("code", {}, shown);
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(code.textContent);
    copy.textContent = "Copied";
    setTimeout(() => { copy.textContent = "Copy"; }, 1500);
  });
  return h("div", { class: "sample" }, h("div", {}, title, copy), h("pre", { tabindex: "0" }, code));
}

export function arrival(operation) {
  const headers = operation.parameters.map((each) => `${each.name}: ${flat(each.schema).examples?.[0] ?? "…"}`);
  const body = JSON.stringify(example(operation.requestBody.content["application/json"]), null, 2);
  return ["POST /webhooks/echo", "content-type: application/json", ...headers, "", body].join("\n");
}

/** A call as its parts. Its credential comes from the environment, so that no key stands in anybody's code. */
function callOf(path, method, operation) {
  const [name] = (operation.security ?? []).flatMap((each) => Object.keys(each));
  const scheme = name && spec.components.securitySchemes[name];
  const body = example(operation.requestBody?.content["application/json"]);
  const headers = [];
  if (scheme) {
    const variable = `ECHO_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
    headers.push(scheme.type === "http" ? ["authorization", "Bearer ", variable] : [scheme.name, "", variable]);
  }
  if (body) headers.push(["content-type", "application/json"]);
  return { url: base + path.replace(/{(\w+)}/g, placeholder), method: method.toUpperCase(), headers, body };
}

const written = (value) => JSON.stringify(value, null, 2);

function curl({ url, method, headers, body }) {
  const lines = [`curl ${method === "GET" ? "" : `-X ${method} `}'${url}'`];
  for (const [name, value, variable] of headers) lines.push(variable ? `-H "${name}: ${value}$${variable}"` : `-H '${name}: ${value}'`);
  if (body) lines.push(`-d '${written(body).replaceAll("'", "'\\''")}'`);
  return lines.join(" \\\n  ");
}

/** JSON as Python writes it. The words stand outside of strings, which the pattern takes whole. */
const asPython = (value) =>
  written(value).replace(/"(?:[^"\\]|\\.)*"|\b(?:true|false|null)\b/g, (part) => ({ true: "True", false: "False", null: "None" })[part] ?? part);

const indented = (text, by) => text.replaceAll("\n", `\n${by}`);

function python({ url, method, headers, body }) {
  const value = ([, text, variable]) => (variable ? `${text ? `"${text}" + ` : ""}os.environ["${variable}"]` : `"${text}"`);
  const lines = headers.map((header) => `        "${header[0]}": ${value(header)},`);
  return [
    "import json\nimport os\nimport urllib.request\n",
    "request = urllib.request.Request(",
    `    "${url}",`,
    `    method="${method}",`,
    ...(lines.length ? ["    headers={", ...lines, "    },"] : []),
    ...(body ? [`    data=json.dumps(${indented(asPython(body), "    ")}).encode(),`] : []),
    ")",
    "with urllib.request.urlopen(request) as answer:",
    "    print(answer.status, answer.read().decode())",
  ].join("\n");
}

function node({ url, method, headers, body }) {
  const value = ([, text, variable]) => (variable ? (text ? `\`${text}\${process.env.${variable}}\`` : `process.env.${variable}`) : `"${text}"`);
  const lines = headers.map((header) => `    "${header[0]}": ${value(header)},`);
  return [
    `const answer = await fetch("${url}", {`,
    `  method: "${method}",`,
    ...(lines.length ? ["  headers: {", ...lines, "  },"] : []),
    ...(body ? [`  body: JSON.stringify(${indented(written(body), "  ")}),`] : []),
    "});",
    "console.log(answer.status, await answer.text());",
  ].join("\n");
}

function go({ url, method, headers, body }) {
  const value = ([, text, variable]) => (variable ? `${text ? `"${text}" + ` : ""}os.Getenv("${variable}")` : `"${text}"`);
  const sent = body ? `strings.NewReader(\`${written(body).replaceAll("`", "` + \"`\" + `")}\`)` : "nil";
  const packages = ["fmt", "io", "net/http", headers.some(([, , variable]) => variable) && "os", body && "strings"].filter(Boolean);
  return [
    `package main\n\nimport (\n${packages.map((name) => `\t"${name}"`).join("\n")}\n)\n`,
    "func main() {",
    `\trequest, err := http.NewRequest("${method}", "${url}", ${sent})`,
    "\tif err != nil {\n\t\tpanic(err)\n\t}",
    ...headers.map((header) => `\trequest.Header.Set("${header[0]}", ${value(header)})`),
    "\tanswer, err := http.DefaultClient.Do(request)",
    "\tif err != nil {\n\t\tpanic(err)\n\t}",
    "\tdefer answer.Body.Close()",
    "\ttext, err := io.ReadAll(answer.Body)",
    "\tif err != nil {\n\t\tpanic(err)\n\t}",
    "\tfmt.Println(answer.StatusCode, string(text))",
    "}",
  ].join("\n");
}

const WRITERS = { curl, Python: python, Node: node, Go: go };

/** The request in the chosen language. It changes with the ids that the reader types. */
export function requestSample(path, method, operation) {
  const select = h("select", { "aria-label": "Language" }, LANGUAGES.map((name) => h("option", {}, name)));
  const text = () => WRITERS[language()](callOf(path, method, operation));
  const shown = sample(select, text());
  const show = () => {
    select.value = language();
    shown.querySelector("code").textContent = text();
  };
  select.addEventListener("change", () => setLanguage(select.value));
  ids.addEventListener("change", show);
  return shown;
}
