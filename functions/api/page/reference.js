// Renders openapi.json, which the api serves beside this page. All text goes in as text, never as markup.
"use strict";

const METHODS = ["get", "post", "put", "patch", "delete"];
const base = location.origin + location.pathname.replace(/\/docs\/?$/, "");
let spec;

function h(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (value !== false && value !== undefined) element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat(9).filter((child) => child !== undefined && child !== null && child !== false));
  return element;
}

/** Paragraphs with `code` and **strong**, the only markup in the descriptions. */
function prose(text, attributes) {
  return (text ?? "").split(/\n\n+/).filter(Boolean).map((paragraph) => h("p", attributes, inline(paragraph)));
}

function inline(text) {
  return text.split(/(`[^`]+`|\*\*[^*]+\*\*)/).map((part) => {
    if (part.startsWith("`")) return h("code", {}, part.slice(1, -1));
    return part.startsWith("**") ? h("strong", {}, part.slice(2, -2)) : part;
  });
}

/** The target of a reference. Fields beside the reference override those of the target. */
function resolve(node) {
  if (!node?.$ref) return node ?? {};
  const { $ref, ...beside } = node;
  const target = $ref.slice(2).split("/").reduce((at, key) => at[key], spec);
  return { ...resolve(target), ...beside, ...(beside.description && { about: resolve(target).description }) };
}

/** A schema with its references resolved, its `allOf` and its forms joined, and "or null" as `nullable`. */
function flat(schema) {
  const node = { ...resolve(schema) };
  for (const part of node.allOf ?? []) {
    const { properties, required, ...rest } = flat(part);
    const kept = { ...node };
    Object.assign(node, rest, kept);
    node.properties = { ...properties, ...kept.properties };
    node.required = [...(required ?? []), ...(kept.required ?? [])];
  }
  const choices = node.oneOf ?? node.anyOf;
  if (choices?.some((choice) => choice.type === "null")) {
    const one = flat(choices.find((choice) => choice.type !== "null"));
    return { ...one, description: one.description ?? node.description, nullable: true };
  }
  if (choices) {
    // Objects of several forms: their fields together, and as required those that every form has.
    const forms = choices.map(flat);
    node.type = "object";
    node.properties = Object.assign({}, ...forms.map((form) => form.properties));
    node.required = forms.map((form) => form.required ?? []).reduce((kept, more) => kept.filter((name) => more.includes(name)));
  }
  if (Array.isArray(node.type)) {
    node.nullable = node.type.includes("null");
    node.type = node.type.find((type) => type !== "null");
  }
  return node;
}

function typeName(node) {
  const items = node.type === "array" ? flat(node.items) : undefined;
  const name = items ? `array of ${items.type === "object" ? "objects" : `${items.type ?? "any"}s`}` : (node.type ?? "any");
  const format = node.format && !/^int/.test(node.format) ? ` · ${node.format}` : "";
  return name + format + (node.nullable ? " or null" : "");
}

function limits(node) {
  const said = [];
  const span = (least, most, unit) => {
    if (least === undefined && most === undefined) return;
    const range = least === undefined ? `at most ${most}` : most === undefined ? `at least ${least}` : `${least} to ${most}`;
    said.push(`${range}${unit}`);
  };
  const values = node.enum ?? (node.type === "array" ? flat(node.items).enum : undefined);
  if (values) said.push(["one of ", values.map((value, index) => [index ? ", " : "", h("code", {}, String(value))])]);
  span(node.minLength, node.maxLength, " characters");
  span(node.minimum, node.maximum, "");
  span(node.minItems, node.maxItems, node.minItems === 1 && !node.maxItems ? " item" : " items");
  span(node.minProperties, node.maxProperties, node.minProperties === 1 && !node.maxProperties ? " field" : " fields");
  if (node.default !== undefined) said.push(["default ", h("code", {}, JSON.stringify(node.default))]);
  if (node.pattern && node.pattern !== "\\S" && node.format !== "uuid") said.push(["matches ", h("code", {}, node.pattern)]);
  if (node.pattern === "\\S") said.push("not blank");
  return said.length ? h("p", { class: "limits" }, said.map((each, index) => [index ? "; " : "", each])) : undefined;
}

/** A line for each field. The fields inside an object open below the object. Only requests mark their required fields. */
function fields(schema, sent, depth = 0) {
  const node = flat(schema);
  const inner = node.type === "array" ? flat(node.items) : node;
  if (!inner.properties) return undefined;
  const rows = Object.entries(inner.properties).map(([name, property]) => {
    return field(name, property, { sent, required: sent && inner.required?.includes(name), depth });
  });
  return h("ul", { class: "fields" }, rows);
}

function field(name, schema, { sent = false, required = false, depth = 0, note } = {}) {
  const node = flat(schema);
  const nested = depth < 4 ? fields(schema, sent, depth + 1) : undefined;
  // The type is explanation enough for a UUID or a time.
  const general = ["uuid", "date-time"].includes(node.format);
  const own = general && schema.$ref && !schema.description ? undefined : node.description;
  const about = [note, own, !general && node.about].filter((text, at, all) => text && all.indexOf(text) === at);
  return h("li", { "data-name": name },
    h("div", { class: "field" }, h("b", {}, name), h("span", { class: "type" }, typeName(node)),
      required && h("span", { class: "required" }, "required")),
    about.map((text) => prose(text)),
    limits(node),
    nested && h("details", {}, h("summary", {}, `Fields of ${name}`), nested));
}

/** An example with its fields in the order of the schema. */
function ordered(value, schema) {
  const node = schema ? flat(schema) : {};
  if (Array.isArray(value)) return value.map((item) => ordered(item, node.items));
  if (value === null || typeof value !== "object") return value;
  const known = Object.keys(node.properties ?? {}).filter((key) => key in value);
  const rest = Object.keys(value).filter((key) => !known.includes(key));
  return Object.fromEntries([...known, ...rest].map((key) => [key, ordered(value[key], node.properties?.[key])]));
}

function json(value) {
  const parts = JSON.stringify(value, null, 2).split(/("(?:[^"\\]|\\.)*"(?:\s*:)?|-?\b\d[\d.eE+-]*\b|\b(?:true|false|null)\b)/);
  return parts.map((part, at) => {
    if (at % 2 === 0) return part;
    return h("span", { class: part.endsWith(":") ? "k" : part.startsWith('"') ? "s" : "n" }, part);
  });
}

function sample(title, text, shown = text) {
  const copy = h("button", { type: "button" }, "Copy");
  const code = h("code", {}, shown);
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(code.textContent);
    copy.textContent = "Copied";
    setTimeout(() => { copy.textContent = "Copy"; }, 1500);
  });
  return h("div", { class: "sample" }, h("div", {}, title, copy), h("pre", { tabindex: "0" }, code));
}

function example(media) {
  return media?.example === undefined ? undefined : ordered(media.example, media.schema);
}

/** The reader's own ids for the samples: from the address (`docs?project_id=…`), as the console links here, or typed. */
const own = new URLSearchParams(location.search);
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const OWN = { project_id: "Project", webhook_id: "Endpoint" };

/** The path parameter `{projectId}` as the reader's id, or as PROJECT_ID for the reader to replace. */
function placeholder(_, name) {
  const plain = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  const id = own.get(plain) ?? "";
  return plain in OWN && UUID.test(id) ? id : plain.toUpperCase();
}

/** Inputs for the ids. They stay in the address, so that a reload keeps them; an id is no secret. */
function ownIds() {
  const inputs = Object.entries(OWN).map(([name, label]) => {
    const input = h("input", { value: own.get(name) ?? "", placeholder: name.toUpperCase(), spellcheck: "false", autocomplete: "off" });
    input.addEventListener("input", () => {
      if (input.value.trim()) own.set(name, input.value.trim().toLowerCase());
      else own.delete(name);
      history.replaceState(null, "", `${own.size ? `?${own}` : location.pathname}${location.hash}`);
      document.dispatchEvent(new Event("ids"));
    });
    return h("label", {}, h("span", {}, `${label} id`), input);
  });
  return h("div", { class: "own" }, inputs);
}

function arrival(operation) {
  const headers = operation.parameters.map((each) => `${each.name}: ${flat(each.schema).examples?.[0] ?? "…"}`);
  const body = JSON.stringify(example(operation.requestBody.content["application/json"]), null, 2);
  return ["POST /webhooks/echo", "content-type: application/json", ...headers, "", body].join("\n");
}

function curl(path, method, operation) {
  const names = (operation.security ?? []).flatMap((each) => Object.keys(each));
  const lines = [`curl ${method === "get" ? "" : `-X ${method.toUpperCase()} `}'${base}${path.replace(/{(\w+)}/g, placeholder)}'`];
  const scheme = names.length ? spec.components.securitySchemes[names[0]] : undefined;
  if (scheme?.type === "apiKey") lines.push(`-H '${scheme.name}: …'`);
  if (scheme?.type === "http") lines.push(`-H 'authorization: Bearer …'`);
  const body = example(operation.requestBody?.content["application/json"]);
  if (body) {
    lines.push("-H 'content-type: application/json'");
    lines.push(`-d '${JSON.stringify(body, null, 2).replaceAll("'", "'\\''")}'`);
  }
  return lines.join(" \\\n  ");
}

/** The request as a command. It changes with the ids that the reader types. */
function requestSample(path, method, operation) {
  const shown = sample("Request", curl(path, method, operation));
  document.addEventListener("ids", () => {
    shown.querySelector("code").textContent = curl(path, method, operation);
  });
  return shown;
}

function parameters(operation) {
  const titles = { path: "In the path", query: "In the query", header: "Headers" };
  return Object.entries(titles).map(([place, title]) => {
    const those = (operation.parameters ?? []).map(resolve).filter((parameter) => parameter.in === place);
    if (!those.length) return undefined;
    const rows = those.map((each) => field(each.name, each.schema, { required: each.required, note: each.description }));
    return [h("h4", {}, title), h("ul", { class: "fields" }, rows)];
  });
}

function answers(operation) {
  const shown = Object.entries(operation.responses).map(([status, response]) => {
    const { description, headers, content } = resolve(response);
    const media = content?.["application/json"];
    const head = Object.entries(headers ?? {}).map(([name, header]) => {
      const { schema, description: about } = resolve(header);
      return field(name, schema, { note: about });
    });
    const good = /^2/.test(status);
    return h("details", { class: "answer", open: good && Boolean(media), "data-name": status },
      h("summary", {}, h("span", { class: `status ${good ? "good" : "bad"}` }, status), inline(description)),
      media && fields(media.schema, false),
      media && !good && sample("Example", JSON.stringify(example(media), null, 2), json(example(media))),
      head.length > 0 && h("details", {}, h("summary", {}, "Headers"), h("ul", { class: "fields" }, head)));
  });
  return [h("h4", {}, "Responses"), shown];
}

function credentials(operation) {
  if (!operation.security) return undefined;
  const names = operation.security.map((each) => Object.keys(each)[0]);
  const needed = names.filter(Boolean);
  if (!needed.length) return h("p", { class: "soft" }, "No credential needed.");
  const scopes = (name) => operation.security.map((each) => each[name]?.[0]).filter(Boolean);
  const links = needed.map((name, at) => [
    at ? " or " : "",
    h("a", { href: "#credentials" }, h("code", {}, name)),
    scopes(name).map((scope) => [" with the scope ", h("code", {}, scope)])]);
  const optional = names.includes(undefined) ? ", if the operator requires it" : "";
  return h("p", { class: "soft" }, "Credential: ", links, optional, ".");
}

function operationSection({ path, method, operation: it }, received) {
  const request = it.requestBody?.content["application/json"];
  const best = Object.entries(it.responses).find(([status]) => /^2/.test(status));
  const answer = best && example(resolve(best[1]).content?.["application/json"]);
  return h("section", { class: "operation", id: it.operationId, "aria-labelledby": `${it.operationId}-title` },
    h("header", {},
      h("h3", { id: `${it.operationId}-title` }, h("a", { class: "anchor", href: `#${it.operationId}` }, it.summary)),
      h("p", { class: "route" }, h("span", { class: `method ${method}` }, method), h("span", {}, received ? "your URL" : path))),
    h("div", {},
      prose(it.description),
      !received && credentials(it),
      parameters(it),
      request && [h("h4", {}, "Body"), prose(flat(request.schema).description), fields(request.schema, true)],
      answers(it)),
    h("div", { class: "samples" },
      !received && requestSample(path, method, it),
      received && sample("The request to your URL", arrival(it)),
      answer !== undefined && sample(`Response · ${best[0]}`, JSON.stringify(answer, null, 2), json(answer))));
}

function credentialsSection() {
  const rows = Object.entries(spec.components.securitySchemes).map(([name, scheme]) => {
    const where = scheme.type === "apiKey" ? `header ${scheme.name}` : "header authorization: Bearer …";
    return h("li", {},
      h("div", { class: "field" }, h("b", {}, name), h("span", { class: "type" }, where)), prose(scheme.description));
  });
  return h("section", { class: "tag", id: "credentials" }, h("h2", {}, "Credentials"), h("ul", { class: "fields" }, rows));
}

function intro() {
  const { title, version, description } = spec.info;
  return h("header", { id: "top" },
    h("h1", {}, `${title} API`),
    h("div", { class: "lead" }, prose(description)),
    h("dl", { class: "facts" },
      h("dt", {}, "Base URL"), h("dd", {}, h("code", {}, base)),
      h("dt", {}, "Version"), h("dd", {}, version),
      h("dt", {}, "Description"), h("dd", {}, h("a", { href: "openapi.json" }, `OpenAPI ${spec.openapi}`)),
      h("dt", {}, "Your ids"), h("dd", {}, ownIds())));
}

/** The operations of each tag, in the order of the tags. */
function groups() {
  const all = [];
  for (const [paths, received] of [[spec.paths, false], [spec.webhooks ?? {}, true]]) {
    for (const [path, item] of Object.entries(paths)) {
      for (const method of METHODS.filter((each) => item[each])) {
        all.push({ path, method, operation: item[method], received });
      }
    }
  }
  return spec.tags.map((tag) => ({ tag, routes: all.filter((each) => each.operation.tags[0] === tag.name) }));
}

function render() {
  const index = document.getElementById("index");
  const main = document.getElementById("main");
  document.getElementById("version").textContent = spec.info.version;
  main.replaceChildren(intro(), credentialsSection());
  for (const { tag, routes } of groups()) {
    const sections = routes.map((each) => operationSection(each, each.received));
    index.append(h("section", {}, h("h2", {}, tag.name), h("ul", {}, routes.map((each, at) => {
      const { operation: it, method, path } = each;
      const text = [it.summary, it.operationId, path, method, tag.name, wordsOf(sections[at])].join(" ").toLowerCase();
      const link = h("a", { href: `#${it.operationId}` }, h("span", { class: `method ${method}` }, method), h("span", {}, it.summary));
      return h("li", { "data-text": text }, link, h("small", { class: "where soft" }));
    }))));
    main.append(h("section", { class: "tag" },
      h("h2", {}, tag.name), h("div", { class: "lead" }, prose(tag.description)), sections));
  }
}

/** What a section says, without its samples: their ids and numbers would match nearly everything. */
function wordsOf(section) {
  const said = section.cloneNode(true);
  for (const each of said.querySelectorAll(".sample")) each.remove();
  return [...said.querySelectorAll("b, p, h4, .status, .type, summary")].map((each) => each.textContent).join(" ");
}

/** The field, header or status of an operation that a word names: one with this very name before one with the word in its name. */
function placeOf(id, words) {
  const named = [...document.getElementById(id).querySelectorAll("[data-name]")];
  for (const fits of [(name, word) => name === word, (name, word) => name.includes(word)]) {
    const found = named.find((each) => words.some((word) => fits(each.dataset.name.toLowerCase(), word)));
    if (found) return found;
  }
  return undefined;
}

/** Opens the parts around an element and shows the element. */
function reveal(element) {
  for (let each = element; each; each = each.parentElement?.closest("details")) {
    if (each instanceof HTMLDetailsElement) each.open = true;
  }
  element.scrollIntoView({ block: "center" });
  element.classList.add("found");
  setTimeout(() => element.classList.remove("found"), 2500);
}

function search() {
  const box = document.getElementById("search");
  const menu = document.getElementById("menu");
  // On a small screen an open list would fill the page.
  menu.open = matchMedia("(min-width: 48rem)").matches;
  const links = () => [...document.querySelectorAll("#index li:not([hidden]) a")];
  const asked = () => box.value.toLowerCase().split(/\s+/).filter(Boolean);
  // An operation with the words in its own name comes before one with the words in a field's.
  const best = () => {
    const named = links().find((link) => asked().every((word) => `${link.textContent} ${link.hash}`.toLowerCase().includes(word)));
    return named ?? links()[0];
  };
  const idOf = (row) => row.querySelector("a").hash.slice(1);
  box.addEventListener("input", () => {
    const words = asked();
    for (const row of document.querySelectorAll("#index li")) {
      row.hidden = !words.every((word) => row.dataset.text.includes(word));
      row.querySelector(".where").textContent = (!row.hidden && words.length && placeOf(idOf(row), words)?.dataset.name) || "";
    }
    for (const section of document.querySelectorAll("#index section")) {
      section.hidden = !section.querySelector("li:not([hidden])");
    }
    menu.open ||= words.length > 0;
    document.getElementById("none").hidden = links().length > 0;
  });
  document.getElementById("index").addEventListener("click", (event) => {
    const row = event.target.closest("li");
    const words = asked();
    const place = row && words.length && placeOf(idOf(row), words);
    // After the browser has followed the link.
    if (place) setTimeout(() => reveal(place));
  });
  document.addEventListener("keydown", (event) => {
    const typing = event.target === box;
    if (event.target instanceof HTMLInputElement && !typing) return;
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      box.focus();
    } else if (event.key === "Escape" && typing) {
      box.value = "";
      box.dispatchEvent(new Event("input"));
      box.blur();
    } else if (event.key === "Enter" && typing) {
      best()?.click();
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const all = links();
      const at = typing ? -1 : all.indexOf(document.activeElement);
      if (!typing && at < 0) return;
      event.preventDefault();
      const next = at + (event.key === "ArrowDown" ? 1 : -1);
      (next < 0 ? box : all[next] ?? all.at(-1)).focus();
    }
  });
}

/** Marks the visible operation in the list. */
function follow() {
  const seen = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) continue;
      document.querySelector("#index a[aria-current]")?.removeAttribute("aria-current");
      document.querySelector(`#index a[href="#${target.id}"]`)?.setAttribute("aria-current", "true");
    }
  }, { rootMargin: "-10% 0px -80% 0px" });
  document.querySelectorAll(".operation").forEach((each) => seen.observe(each));
}

async function begin() {
  const main = document.getElementById("main");
  try {
    const answer = await fetch("openapi.json");
    if (!answer.ok) throw new Error(`the service answered ${answer.status}`);
    spec = await answer.json();
  } catch (error) {
    main.replaceChildren(h("p", { class: "problem", role: "alert" }, `The page could not load openapi.json: ${error.message}. Reload the page to try again.`));
    return;
  }
  render();
  search();
  follow();
  if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

begin();
