/** The lanes as tables: what happened, and each state of each model, the newest first. */

import { duration } from "../../lib/format.js";
import { html, useMemo } from "../../lib/html.js";
import { State, Table, Time, Value } from "../../lib/ui.js";
import { eventsOf, reasonOf, STATES, useOf } from "./states.js";

const COLUMNS = [
  { id: "began", name: "From", header: true, class: "nowrap", value: (row) => row.began, cell: (row) => html`<${Time} at=${row.began} />` },
  { id: "ended", name: "To", class: "nowrap", value: (row) => row.ended, cell: (row) => html`<${Time} at=${row.ended} />` },
  { id: "duration", name: "Duration", number: true, value: (row) => row.ended - row.began, cell: (row) => duration(row.ended - row.began) },
  { id: "model", name: "Model", class: "nowrap", value: (row) => row.model, cell: (row) => row.model },
  { id: "state", name: "State", class: "nowrap", value: (row) => row.state, cell: (row) => html`<${State} kind=${STATES[row.state]?.kind}>${STATES[row.state]?.name ?? row.state}</${State}>` },
  { id: "use", name: "In use", number: true, value: (row) => row.in_use ?? -1, cell: (row) => inUse(row) },
  { id: "why", name: "Why", cell: (row) => reasonOf(row) || html`<span class="muted">—</span>` },
];

/** For how long it was in use. Nothing for states in which no model can be. */
function inUse(row) {
  if (row.state !== "ready" && row.state !== "draining") return "";
  const least = row.in_use !== null && row.use_unknown.length ? "≥ " : "";
  return html`<span title=${useOf(row)}><${Value} text="${least}${duration(row.in_use)}" /></span>`;
}

const EVENT_COLUMNS = [
  { id: "at", name: "Time", header: true, class: "nowrap", value: (row) => row.at, cell: (row) => html`<${Time} at=${row.at} />` },
  { id: "name", name: "Event", class: "nowrap", value: (row) => row.name, cell: (row) => html`<${State} kind=${row.kind}>${row.name}</${State}>` },
  { id: "text", name: "Details", cell: (row) => row.text || html`<span class="muted">—</span>` },
];

/** Tables of a History's events and lanes. */
export function HistoryTables({ history }) {
  const events = useMemo(() => eventsOf(history).map((event, index) => ({ ...event, index })), [history]);
  return html`${events.length > 0 && html`<${Table} caption="Events" columns=${EVENT_COLUMNS} rows=${events} rowKey=${(row) => row.index} sort=${["at", "descending"]} />`}
    <${SpanTable} lanes=${history.lanes} />`;
}

function SpanTable({ lanes }) {
  const rows = useMemo(() => lanes.flatMap(({ model, spans }) => spans.map((span) => ({ ...span, model }))), [lanes]);
  return html`<${Table} caption="States of models" columns=${COLUMNS} rows=${rows} rowKey=${(row) => `${row.model} ${row.began} ${row.state}`} sort=${["began", "descending"]} />`;
}
