// The schemas of openapi.json as lists of fields, and its examples.

import { h, prose } from "./dom.js";

/** The document, once it is loaded. */
export let spec;

export function keepSpec(loaded) {
  spec = loaded;
}

/** The target of a reference. Fields beside the reference override those of the target. */
export function resolve(node) {
  if (!node?.$ref) return node ?? {};
  const { $ref, ...beside } = node;
  const target = $ref.slice(2).split("/").reduce((at, key) => at[key], spec);
  return { ...resolve(target), ...beside, ...(beside.description && { about: resolve(target).description }) };
}

/** A schema with its references resolved, its `allOf` and its forms joined, and "or null" as `nullable`. */
export function flat(schema) {
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
  const forms = choices?.map(flat);
  if (forms) {
    // Objects of several forms: their fields together, and as required those that every form has.
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

export function typeName(node) {
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
  const items = node.type === "array" ? flat(node.items) : {};
  const values = node.enum ?? items.enum;
  if (values) said.push(["one of ", values.map((value, index) => [index ? ", " : "", h("code", {}, String(value))])]);
  const known = node["x-extensible-enum"] ?? items["x-extensible-enum"];
  if (known?.length) said.push(["such as ", known.map((value, index) => [index ? ", " : "", h("code", {}, String(value))])]);
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
export function fields(schema, sent, depth = 0) {
  const node = flat(schema);
  const inner = node.type === "array" ? flat(node.items) : node;
  if (!inner.properties) return undefined;
  const rows = Object.entries(inner.properties).map(([name, property]) => {
    return field(name, property, { sent, required: sent && inner.required?.includes(name), depth });
  });
  return h("ul", { class: "fields" }, rows);
}

export function field(name, schema, { sent = false, required = false, depth = 0, note } = {}) {
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

export function json(value) {
  const parts = JSON.stringify(value, null, 2).split(/("(?:[^"\\]|\\.)*"(?:\s*:)?|-?\b\d[\d.eE+-]*\b|\b(?:true|false|null)\b)/);
  return parts.map((part, at) => {
    if (at % 2 === 0) return part;
    return h("span", { class: part.endsWith(":") ? "k" : part.startsWith('"') ? "s" : "n" }, part);
  });
}

export function example(media) {
  return media?.example === undefined ? undefined : ordered(media.example, media.schema);
}
