/** The requests that wait for a model, each with why and for how long yet. */

import { counted } from "../../lib/format.js";
import { html } from "../../lib/html.js";
import { queue } from "../../lib/live.js";
import { link } from "../../lib/router.js";
import { Card, Elapsed, Table, Time } from "../../lib/ui.js";
import { leftText } from "./loads.js";

const COLUMNS = [
  { id: "position", name: "#", number: true, cell: (row) => row.position },
  { id: "model", name: "Model", header: true, cell: (row) => html`<a href=${link("models", row.model)}>${row.model}</a>` },
  { id: "text", name: "Why", class: "wide", cell: (row) => row.text || "It waits for its turn." },
  { id: "left", name: "Ready", class: "nowrap", cell: (row) => (row.ready_at ? leftText(row.ready_at) : html`<span class="unknown">unknown</span>`) },
  { id: "client", name: "Client", cell: (row) => clientText(row) },
  { id: "since", name: "Waiting", number: true, cell: (row) => html`<${Elapsed} from=${row.arrived} />` },
  { id: "deadline", name: "Rejected at", number: true, cell: (row) => html`<${Time} at=${row.deadline} />` },
];

export function QueueCard() {
  const { waiting = 0, rows = [], max_length: most } = queue.value ?? {};
  if (!waiting) return null;
  const hidden = rows.length < waiting ? `, of which the first ${rows.length} are shown` : "";
  return html`<${Card} title="Waiting" note=${`${counted(waiting, "request")} of at most ${most}${hidden}`} flush>
    <${Table} caption="Requests that wait for a model" columns=${COLUMNS} rows=${rows} rowKey=${(row) => row.ticket} />
  </${Card}>`;
}

function clientText(row) {
  const name = row.client || "anonymous";
  return row.background ? html`${name} <span class="tag">background</span>` : name;
}
