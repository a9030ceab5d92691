/** The requests in flight, with their speed and a way to cancel them. */

import { del } from "../../lib/api.js";
import { count, counted, speed } from "../../lib/format.js";
import { html } from "../../lib/html.js";
import { inFlight } from "../../lib/live.js";
import { canControl } from "../../lib/rights.js";
import { link } from "../../lib/router.js";
import { Button, Card, Elapsed, Empty, State, Table, Value } from "../../lib/ui.js";

const COLUMNS = [
  { id: "phase", name: "Phase", class: "plain", cell: (row) => html`<${State} state=${row.phase} /> <span class="note"><${Elapsed} from=${row.phase_since} /></span>` },
  { id: "model", name: "Model", header: true, cell: (row) => html`<a href=${link("models", row.model)}>${row.model}</a>` },
  { id: "client", name: "Client", cell: (row) => html`${row.client}${row.program && html` <span class="note">${row.program}</span>`}` },
  { id: "endpoint", name: "Endpoint", class: "mono nowrap optional", cell: (row) => row.endpoint },
  { id: "since", name: "Time", number: true, cell: (row) => html`<${Elapsed} from=${row.began} />` },
  { id: "tokens_in", name: "Tokens in", number: true, cell: (row) => html`<${Value} text=${count(row.tokens_in)} />` },
  { id: "tokens_out", name: "Out", number: true, cell: (row) => html`<${Value} text=${count(row.tokens_out)} />` },
  { id: "speed", name: "Speed", number: true, cell: (row) => html`<${Value} text=${speed(row.speed)} />` },
];
const CANCEL = {
  id: "cancel",
  name: "Actions",
  hideName: true,
  number: true,
  cell: (row) => html`<${Button} kind="quiet" size="small" icon="close" busyText="Cancelling…" aria-label="Cancel the request for ${row.model}"
    onClick=${() => del(`requests/active/${encodeURIComponent(row.id)}`)}>Cancel</${Button}>`,
};

/** The requests in flight. `hidesEmpty`: nothing is shown if there is none. */
export function InFlightCard({ hidesEmpty = false }) {
  const { total = 0, rows = [] } = inFlight.value ?? {};
  if (!total && hidesEmpty) return null;
  const columns = canControl.value ? [...COLUMNS, CANCEL] : COLUMNS;
  const hidden = rows.length < total ? `, of which the first ${rows.length} are shown` : "";
  return html`<${Card} title="In flight" note=${total ? `${counted(total, "request")}${hidden}` : ""} flush>
    ${total
      ? html`<${Table} caption="Requests in flight" columns=${columns} rows=${rows} rowKey=${(row) => `${row.id} ${row.began}`} />`
      : html`<${Empty} title="No request is in flight">Requests appear here as they arrive. Send the first one in <a href=${link("chat")}>Chat</a>, or connect a program: <a href=${link("clients")}>Clients</a> has its configuration.</${Empty}>`}
  </${Card}>`;
}
