/** Requests in flight, from the live state. */

import { del } from "../../lib/api.js";
import { count, counted, speed } from "../../lib/format.js";
import { html } from "../../lib/html.js";
import { inFlight } from "../../lib/live.js";
import { canControl } from "../../lib/rights.js";
import { Button, Card, Elapsed, State, Table, Value } from "../../lib/ui.js";

const COLUMNS = [
  { id: "phase", name: "Phase", class: "plain", cell: (row) => html`<${State} state=${row.phase} />` },
  { id: "model", name: "Model", header: true, cell: (row) => row.model },
  { id: "client", name: "Client", cell: (row) => html`${row.client}${row.program && html` <span class="note">${row.program}</span>`}` },
  { id: "since", name: "Time", number: true, cell: (row) => html`<${Elapsed} from=${row.began} />` },
  { id: "tokens_in", name: "Tokens in", number: true, cell: (row) => html`<${Value} text=${count(row.tokens_in)} />` },
  { id: "tokens_out", name: "Tokens out", number: true, cell: (row) => html`<${Value} text=${count(row.tokens_out)} />` },
  { id: "speed", name: "Speed", number: true, cell: (row) => html`<${Value} text=${speed(row.speed)} />` },
];
const CANCEL = {
  id: "cancel",
  name: "Actions",
  hideName: true,
  number: true,
  cell: (row) => html`<${Button} kind="quiet" size="small" icon="close" busyText="Cancelling…" onClick=${() => del(`requests/active/${encodeURIComponent(row.id)}`)}>Cancel</${Button}>`,
};

/** The requests in flight, or nothing if there is none. */
export function InFlight() {
  const { total = 0, rows = [] } = inFlight.value ?? {};
  if (!total) return null;
  const columns = canControl.value ? [...COLUMNS, CANCEL] : COLUMNS;
  const note = rows.length < total ? `${counted(total, "request")}, of which the first ${rows.length} are shown` : counted(total, "request");
  return html`<${Card} title="In flight" note=${note} flush>
    <${Table} caption="Requests in flight" columns=${columns} rows=${rows} rowKey=${(row) => row.id} />
  </${Card}>`;
}
