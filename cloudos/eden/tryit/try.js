// The try-it page: every operation of /openapi.json as a form that sends the request and shows the answer.
"use strict";

const make = (tag, facts = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), facts);
  element.append(...children);
  return element;
};
let description = {};

const resolve = schema => schema && schema.$ref
  ? schema.$ref.slice(2).split("/").reduce((found, key) => found[key], description) : schema || {};

// A value of the schema's shape, to begin a body with.
const example = (schema, depth = 0) => {
  const one = resolve(schema);
  if (one.enum) return one.enum[0];
  if (one.default !== undefined) return one.default;
  const kind = Array.isArray(one.type) ? one.type[0] : one.type;
  if (kind === "object" && depth < 4)
    return Object.fromEntries((one.required || Object.keys(one.properties || {})).map(
      name => [name, example((one.properties || {})[name], depth + 1)]));
  return { array: [], integer: 0, number: 0, boolean: false, string: "" }[kind] ?? null;
};

const field = parameter => {
  const schema = resolve(parameter.schema);
  const input = schema.enum
    ? make("select", {}, make("option", { value: "" }), ...schema.enum.map(value => make("option", { value }, value)))
    : make("input", { type: schema.type === "integer" ? "number" : "text" });
  const name = make("span", { className: parameter.required ? "required" : "" }, `${parameter.name} (${parameter.in})`);
  const label = make("label", { title: parameter.description || "" }, name, input);
  return { parameter, input, label };
};

const show = async (answer, output) => {
  const head = `${answer.status} ${answer.statusText}\n` + [...answer.headers].map(([key, value]) => `${key}: ${value}`).join("\n");
  let text = await answer.text();
  try { text = JSON.stringify(JSON.parse(text), null, 2); } catch { /* not JSON: shown as it is */ }
  output.textContent = `${head}\n\n${text}`;
};

const send = async (verb, path, fields, body, output) => {
  const query = new URLSearchParams();
  const headers = {};
  const token = document.getElementById("token").value;
  if (token) headers["X-Auth-Token"] = token;
  for (const { parameter, input } of fields) {
    if (parameter.in === "path") path = path.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
    else if (input.value && parameter.in === "query") query.append(parameter.name, input.value);
    else if (input.value) headers[parameter.name] = input.value;
  }
  const asked = { method: verb.toUpperCase(), headers };
  if (body && body.text.value) {
    headers["Content-Type"] = body.media.value;
    asked.body = body.text.value;
  }
  output.textContent = "...";
  try {
    await show(await fetch(path + (query.size ? `?${query}` : ""), asked), output);
  } catch (error) {
    output.textContent = `The request was not answered: ${error.message}`;
  }
};

const form = (verb, path, operation) => {
  const fields = (operation.parameters || []).map(field);
  const parts = fields.map(one => one.label);
  let body = null;
  if (operation.requestBody) {
    const content = operation.requestBody.content;
    const media = Object.keys(content);
    body = {
      media: make("select", {}, ...media.map(value => make("option", { value }, value))),
      text: make("textarea", { rows: 8, spellcheck: false, ariaLabel: "Body" }),
    };
    const schema = content["application/json"] && content["application/json"].schema;
    if (schema) body.text.value = JSON.stringify(example(schema), null, 2);
    parts.push(make("label", {}, make("span", {}, "Body"), body.media), body.text);
  }
  const output = make("pre", { hidden: true, ariaLive: "polite" });
  const button = make("button", { type: "button" }, "Send");
  button.addEventListener("click", () => { output.hidden = false; send(verb, path, fields, body, output); });
  return [make("p", {}, operation.description || ""), ...parts, button, output];
};

const entry = (verb, path, operation) => {
  const element = make("details", { className: operation.deprecated ? "old" : "" },
    make("summary", {}, make("b", {}, verb.toUpperCase()), make("code", {}, path), operation.summary || ""));
  element.dataset.words = `${verb} ${path} ${operation.summary}`.toLowerCase();
  element.addEventListener("toggle", () => {
    if (element.open && element.children.length === 1) element.append(...form(verb, path, operation));
  });
  return element;
};

const begin = async () => {
  description = await (await fetch("/openapi.json")).json();
  document.title = description.info.title;
  document.getElementById("title").textContent = `${description.info.title} ${description.info.version}`;
  document.getElementById("about").textContent = description.info.description || "";
  const groups = new Map();
  for (const [path, verbs] of Object.entries(description.paths))
    for (const [verb, operation] of Object.entries(verbs)) {
      const tag = operation.tags[0];
      if (!groups.has(tag)) groups.set(tag, make("section", {}, make("h2", {}, tag)));
      groups.get(tag).append(entry(verb, path, operation));
    }
  document.getElementById("routes").replaceChildren(...groups.values());
  document.getElementById("find").addEventListener("input", event => {
    const words = event.target.value.toLowerCase().split(/\s+/);
    for (const element of document.querySelectorAll("details"))
      element.hidden = !words.every(word => element.dataset.words.includes(word));
  });
};

begin();
