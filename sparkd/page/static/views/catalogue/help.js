/** What the key at the caret means, and which keys its table may have: from the schema of the catalogue. */

import { get } from "../../lib/api.js";
import { html, useState } from "../../lib/html.js";
import { Prose, SearchField, useLoad } from "../../lib/ui.js";

/** The help. `place` is {table, key}, both lists of names. */
export function Help({ place }) {
  const { data } = useLoad((signal) => get("catalogue/schema", {}, { signal }), []);
  const [query, setQuery] = useState("");
  if (!data) return null;
  const path = [...place.table, ...place.key];
  const [schema, isKnown] = find(data, path);
  const table = find(data, place.table)[0];
  const keys = Object.entries(table?.properties ?? {}).filter(([name, each]) => matches(query, name, resolve(data, each)));
  return html`<details class="help" open>
    <summary>Help${path.length > 0 && html` <code>${path.join(".")}</code>`}</summary>
    ${path.length === 0
      ? html`<p class="note">Put the caret on a key to see what it means.</p>`
      : isKnown && html`<p><${Prose} text=${schema.description} /></p><p class="note">${typeOf(schema)}</p>`}
    ${table?.properties && html`<details class="help-keys">
      <summary>All keys of <code>${place.table.length ? `[${place.table.join(".")}]` : "the file"}</code></summary>
      <${SearchField} label="Search keys" hideLabel placeholder="Search keys" value=${query} onInput=${setQuery} />
      <dl class="key-list">${keys.map(([name, each]) => html`<div key=${name}><dt><code>${name}</code></dt><dd><${Prose} text=${resolve(data, each).description ?? ""} /> <span class="note">${typeOf(resolve(data, each))}</span></dd></div>`)}</dl>
    </details>`}
  </details>`;
}

function matches(query, name, schema) {
  const wanted = query.trim().toLowerCase();
  return !wanted || name.includes(wanted) || (schema.description ?? "").toLowerCase().includes(wanted);
}

function resolve(root, schema) {
  if (!schema?.$ref) return schema ?? {};
  return schema.$ref.replace("#/", "").split("/").reduce((at, part) => at?.[part], root) ?? {};
}

/** The schema of a path, and whether it is known. */
function find(root, path) {
  let at = root;
  for (const part of path) {
    const next = at?.properties?.[part] ?? (typeof at?.additionalProperties === "object" ? at.additionalProperties : null) ?? at?.items;
    if (!next) return [null, false];
    at = resolve(root, next);
  }
  return [at, Boolean(at?.description)];
}

function typeOf(schema) {
  if (schema.enum) return `One of ${schema.enum.map((value) => JSON.stringify(value)).join(", ")}.`;
  const names = { string: "A string", integer: "A whole number", number: "A number", boolean: "true or false", array: "A list", object: "A table" };
  const types = [schema, ...(schema.anyOf ?? [])].map((each) => names[each.type]).filter(Boolean);
  const bounds = schema.minimum !== undefined && schema.maximum !== undefined ? ` from ${schema.minimum} to ${schema.maximum}` : "";
  const given = schema.default !== undefined ? ` Default: ${JSON.stringify(schema.default)}.` : "";
  return types.length ? `${[...new Set(types)].join(" or ")}${bounds}.${given}` : given.trim();
}
