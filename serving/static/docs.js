// The API by its own description: every path with parameters, bodies, answers and a request to copy.

import { get, Problem } from "./api.js";
import { card, h, table } from "./dom.js";

const content = document.getElementById("content");
const METHODS = ["get", "post", "put", "patch", "delete"];

/** The type of a schema in a few words. */
function kind(schema) {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").at(-1);
  if (schema.anyOf ?? schema.oneOf) return (schema.anyOf ?? schema.oneOf).map(kind).join(" or ");
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(", ");
  if (schema.type === "array") return `list of ${kind(schema.items) || "anything"}`;
  if (schema.format) return `${schema.type} (${schema.format})`;
  return Array.isArray(schema.type) ? schema.type.join(" or ") : schema.type ?? "anything";
}

const code = (text) => h("code", {}, text);

function parameters(found) {
  if (!found?.length) return null;
  return table(
    "Parameters",
    ["Parameter", "In", "Type", "Meaning"],
    found.map((one) => [
      code(one.name), one.in, `${kind(one.schema)}${one.required ? ", needed" : ""}`,
      one.description ?? one.schema?.description ?? "",
    ]),
  );
}

function request(path, method, operation) {
  const values = Object.fromEntries((operation.parameters ?? []).map((one) => [one.name, one.example]));
  const filled = path.replaceAll(/{(\w+)}/g, (whole, name) => values[name] ?? whole);
  const address = new URL(`.${filled}`, location.href.replace(/[^/]*([?#].*)?$/, "")).href;
  const [type, media] = Object.entries(operation.requestBody?.content ?? {})[0] ?? [];
  if (!type) return `curl '${address}'`;
  const body = media.example === undefined ? "…" : JSON.stringify(media.example);
  return `curl -H 'content-type: ${type}' -d '${body}' '${address}'`;
}

function answers(responses) {
  return table(
    "Answers",
    ["Status", "Content", "Meaning"],
    Object.entries(responses).map(([status, answer]) => [
      status,
      Object.entries(answer.content ?? {}).map(([type, media]) => `${type}${media.schema ? `: ${kind(media.schema)}` : ""}`).join(", ") || "–",
      answer.description,
    ]),
  );
}

function operation(path, method, found) {
  const body = Object.entries(found.requestBody?.content ?? {});
  return h(
    "details",
    { id: `${method}${path}`, class: "operation" },
    h("summary", {}, h("span", { class: "badge plain" }, method.toUpperCase()), " ", code(path), ` ${found.summary ?? ""}`),
    found.description && h("p", {}, found.description),
    parameters(found.parameters),
    body.length > 0 && h("p", {}, "Body: ", body.map(([type, media]) => `${type} (${kind(media.schema)})`).join(", ")),
    h("pre", {}, code(request(path, method, found))),
    answers(found.responses),
  );
}

function type(name, schema) {
  const needed = new Set(schema.required ?? []);
  const fields = Object.entries(schema.properties ?? {});
  return h(
    "details",
    { id: `type-${name}` },
    h("summary", {}, code(name), ` ${schema.description ?? ""}`),
    fields.length > 0 && table(
      name,
      ["Field", "Type", "Meaning"],
      fields.map(([field, one]) => [code(field), `${kind(one)}${needed.has(field) ? "" : ", may be left out"}`, one.description ?? ""]),
    ),
  );
}

function draw(document_) {
  const groups = new Map();
  for (const [path, item] of Object.entries(document_.paths)) {
    for (const method of METHODS.filter((one) => item[one])) {
      const tag = item[method].tags?.[0] ?? "other";
      groups.set(tag, [...(groups.get(tag) ?? []), operation(path, method, item[method])]);
    }
  }
  const types = Object.entries(document_.components.schemas).toSorted(([a], [b]) => a.localeCompare(b));
  content.replaceChildren(
    h("h1", { tabindex: "-1" }, `${document_.info.title} ${document_.info.version}`),
    ...document_.info.description.split("\n\n").map((text) => h("p", {}, text)),
    ...[...groups].map(([tag, found]) => card(tag, {}, ...found)),
    card("types", {}, ...types.map(([name, schema]) => type(name, schema))),
  );
  content.dataset.state = "ready";
  content.setAttribute("aria-busy", "false");
}

try {
  draw(await get("openapi.json"));
} catch (error) {
  if (!(error instanceof Problem)) throw error;
  content.dataset.state = "failed";
  content.setAttribute("aria-busy", "false");
  const key = error.status === 401 || error.status === 403;
  content.replaceChildren(
    h("h1", {}, key ? "An API key is needed" : "The description cannot be read"),
    h("p", {}, error.message),
    h("p", {}, key ? ["Give it on ", h("a", { href: "./" }, "the page of forecasts"), ", then come back."] : error.remedy),
  );
}
