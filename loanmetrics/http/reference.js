"use strict";
// Draws openapi.json as a page. Text goes in as text, never as markup.

const make = (tag, attributes = {}, ...inside) => {
  const node = Object.assign(document.createElement(tag), attributes);
  node.append(...inside);
  return node;
};

const typeOf = (schema) => {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.enum) return schema.enum.join(" | ");
  if (schema.anyOf) return schema.anyOf.map(typeOf).join(" | ");
  if (schema.type === "array") return `${typeOf(schema.items)}[]`;
  return [].concat(schema.type ?? "any").join(" | ") + (schema.format ? ` (${schema.format})` : "");
};

const table = (title, heads, rows) => {
  if (!rows.length) return "";
  const line = (cells, tag) => make("tr", {}, ...cells.map((cell) => make(tag, {}, cell ?? "")));
  return make("section", {}, make("h4", {}, title),
    make("table", {}, line(heads, "th"), ...rows.map((row) => line(row, "td"))));
};

const resolved = (schema, all) => schema?.$ref ? all[schema.$ref.split("/").pop()] : schema;

const fields = (schema, all) => {
  const data = resolved(schema, all);
  const row = resolved(data?.items ?? data, all);
  return Object.entries(row?.properties ?? {}).map(([name, it]) => [name, typeOf(it), it.description]);
};

const operation = (method, path, it, all) => {
  const body = it.requestBody?.content["application/json"].schema;
  const answer = it.responses["200"].content["application/json"].schema.properties.data;
  return make("details", { id: it.operationId },
    make("summary", {},
      make("span", { className: "method" }, method.toUpperCase()),
      make("span", { className: "path" }, path),
      make("span", { className: "role" }, it["x-role"]),
      make("div", {}, it.summary)),
    table("Parameters", ["name", "in", "type", "about"],
      it.parameters.map((one) => [one.name, one.in + (one.required ? ", required" : ""), typeOf(one.schema), one.description])),
    table("Body", ["field", "type", "about"], fields(body, all)),
    table("Answer", ["field", "type", "about"], fields(answer, all)),
    table("Statuses", ["status", "meaning"],
      Object.entries(it.responses).map(([status, told]) => [status, told.description])));
};

const draw = async () => {
  const told = await (await fetch("openapi.json")).json();
  document.getElementById("about").append(`${told.info.version}: ${told.info.description}`);
  const drawn = Object.entries(told.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, it]) => operation(method, path, it, told.components.schemas)));
  document.getElementById("operations").replaceChildren(...drawn);
  document.getElementById(location.hash.slice(1))?.setAttribute("open", "");
};

draw().catch(() => document.getElementById("operations").replaceChildren("openapi.json could not be read."));
