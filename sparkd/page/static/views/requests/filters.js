/** Which requests are shown, and which columns. */

import { html, useEffect, useMemo, useRef, useState } from "../../lib/html.js";
import { Icon } from "../../lib/icons.js";
import { setQuery } from "../../lib/router.js";
import { Check, SearchField, Select } from "../../lib/ui.js";
import { COLUMNS } from "./columns.js";

const SPANS = [
  ["", "Any time"],
  ["3600", "Last hour"],
  ["86400", "Last 24 hours"],
  ["604800", "Last 7 days"],
  ["2592000", "Last 30 days"],
];
const STATUS = [
  ["", "Any status"],
  ["ok", "Succeeded"],
  ["error", "Failed"],
  ["disconnected", "Disconnected"],
];
const TYPING = 250;

/** The filters. `known` has the values that the loaded requests have, by field. */
export function Filters({ query, known }) {
  const [text, setText] = useState(query.text ?? "");
  const timer = useRef(null);
  useEffect(() => setText(query.text ?? ""), [query.text]);

  function type(value) {
    setText(value);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setQuery({ text: value }), TYPING);
  }

  const choice = (name, label, all) => html`<${Select} label=${label} value=${query[name] ?? ""} choices=${withCurrent(known[name], query[name], all)}
    onChange=${(value) => setQuery({ [name]: value })} />`;
  const isFiltered = ["text", "model", "client", "program", "endpoint", "status", "span"].some((name) => query[name]);
  return html`<div class="filter-bar" role="search" aria-label="Filter requests">
    <${SearchField} label="Search" placeholder="Id, model, client…" value=${text} onInput=${type} />
    ${choice("model", "Model", "All models")}${choice("client", "Client", "All clients")}
    ${choice("program", "Program", "All programs")}${choice("endpoint", "Endpoint", "All endpoints")}
    <${Select} label="Status" value=${query.status ?? ""} choices=${STATUS} onChange=${(status) => setQuery({ status })} />
    <${Select} label="Time" value=${query.span ?? ""} choices=${SPANS} onChange=${(span) => setQuery({ span })} />
    ${isFiltered && html`<button type="button" class="button quiet" onClick=${clear}>Clear</button>`}
  </div>`;
}

function clear() {
  setQuery({ text: "", model: "", client: "", program: "", endpoint: "", status: "", span: "" });
}

function withCurrent(values = [], current, all) {
  const names = [...new Set([...values, current].filter(Boolean))].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  return [["", all], ...names.map((name) => [name, name])];
}

/** The values of these requests, by field, of all that were ever loaded here. */
export function useKnown(records) {
  const known = useRef({ model: new Set(), client: new Set(), program: new Set(), endpoint: new Set() });
  return useMemo(() => {
    for (const record of records) {
      for (const [name, values] of Object.entries(known.current)) values.add(record[name]);
    }
    return Object.fromEntries(Object.entries(known.current).map(([name, values]) => [name, [...values]]));
  }, [records]);
}

/** Chooses the columns. */
export function ColumnChoice({ chosen, onChange }) {
  const element = useRef(null);
  const toggle = (id) => onChange(chosen.includes(id) ? chosen.filter((each) => each !== id) : [...chosen, id]);
  const close = (event) => {
    if (event.key === "Escape") {
      element.current.open = false;
      element.current.firstElementChild.focus();
    }
  };
  return html`<details class="menu" ref=${element} onKeyDown=${close}>
    <summary class="button small"><${Icon} name="table" />Columns</summary>
    <fieldset class="menu-list"><legend class="visually-hidden">Columns</legend>
      ${COLUMNS.filter(({ id }) => id !== "ended").map(
        ({ id, name }) => html`<${Check} key=${id} label=${name} checked=${chosen.includes(id)} onChange=${() => toggle(id)} />`,
      )}
    </fieldset>
  </details>`;
}
