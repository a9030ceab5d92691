/** The lanes as a table: each state of each model, the newest first. */

import { duration } from "../../lib/format.js";
import { html, useMemo } from "../../lib/html.js";
import { State, Table, Time } from "../../lib/ui.js";
import { reasonOf, STATES } from "./states.js";

const COLUMNS = [
  { id: "began", name: "From", header: true, class: "nowrap", value: (row) => row.began, cell: (row) => html`<${Time} at=${row.began} />` },
  { id: "ended", name: "To", class: "nowrap", value: (row) => row.ended, cell: (row) => html`<${Time} at=${row.ended} />` },
  { id: "duration", name: "Duration", number: true, value: (row) => row.ended - row.began, cell: (row) => duration(row.ended - row.began) },
  { id: "model", name: "Model", class: "nowrap", value: (row) => row.model, cell: (row) => row.model },
  { id: "state", name: "State", class: "nowrap", value: (row) => row.state, cell: (row) => html`<${State} kind=${STATES[row.state]?.kind}>${STATES[row.state]?.name ?? row.state}</${State}>` },
  { id: "why", name: "Why", cell: (row) => reasonOf(row) || html`<span class="muted">—</span>` },
];

/** A table of a History's lanes. */
export function SpanTable({ lanes }) {
  const rows = useMemo(() => lanes.flatMap(({ model, spans }) => spans.map((span) => ({ ...span, model }))), [lanes]);
  return html`<${Table} caption="States of models" columns=${COLUMNS} rows=${rows} rowKey=${(row) => `${row.model} ${row.began} ${row.state}`} sort=${["began", "descending"]} />`;
}
