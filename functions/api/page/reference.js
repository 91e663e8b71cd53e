// Renders openapi.json, which the api serves beside this page.

import { h, inline, prose } from "./dom.js";
import { base, ownIds } from "./own.js";
import { arrival, requestSample, sample } from "./samples.js";
import { example, field, fields, flat, json, keepSpec, resolve, spec } from "./schema.js";
import { follow, search, wordsOf } from "./search.js";
import { tryIt } from "./tryit.js";

const METHODS = ["get", "post", "put", "patch", "delete"];

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
      !received && [requestSample(path, method, it), path.startsWith("/v1/") || path.startsWith("/auth/") ? tryIt(path, method, it) : undefined],
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

async function begin() {
  const main = document.getElementById("main");
  try {
    const answer = await fetch("openapi.json");
    if (!answer.ok) throw new Error(`the service answered ${answer.status}`);
    keepSpec(await answer.json());
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
