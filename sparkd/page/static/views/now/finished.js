/** The last requests that have ended. */

import { count, duration, speed } from "../../lib/format.js";
import { html } from "../../lib/html.js";
import { finished } from "../../lib/live.js";
import { link } from "../../lib/router.js";
import { Card, LinkButton, State, Table, Time, Value } from "../../lib/ui.js";
import { speedOf, statusKind, statusText } from "../requests/request.js";

const SHOWN = 8;

const COLUMNS = [
  { id: "ended", name: "Ended", class: "nowrap", cell: (row) => html`<${Time} at=${row.ended} />` },
  { id: "status", name: "Status", class: "plain", cell: (row) => html`<${State} kind=${statusKind(row.status)}>${statusText(row.status)}</${State}>` },
  { id: "model", name: "Model", header: true, cell: (row) => row.model },
  { id: "client", name: "Client", cell: (row) => html`${row.client}${row.program && html` <span class="note">${row.program}</span>`}` },
  { id: "seconds", name: "Time", number: true, cell: (row) => duration(row.seconds) },
  { id: "first", name: "First token", number: true, cell: (row) => html`<${Value} text=${duration(row.first_token_seconds)} />` },
  { id: "tokens_in", name: "Tokens in", number: true, cell: (row) => html`<${Value} text=${count(row.tokens_in)} />` },
  { id: "tokens_out", name: "Out", number: true, cell: (row) => html`<${Value} text=${count(row.tokens_out)} />` },
  { id: "speed", name: "Speed", number: true, cell: (row) => html`<${Value} text=${speed(speedOf(row))} />` },
];

export function Finished() {
  const rows = finished.value.slice(0, SHOWN);
  if (!rows.length) return null;
  const actions = html`<${LinkButton} kind="quiet" size="small" href=${link("requests")}>All requests</${LinkButton}>`;
  return html`<${Card} title="Just finished" actions=${actions} flush>
    <${Table} caption="Requests that have just ended" columns=${COLUMNS} rows=${rows} rowKey=${(row) => `${row.id} ${row.ended}`} />
  </${Card}>`;
}
