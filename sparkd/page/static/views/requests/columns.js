/** The columns of the table of requests. */

import { count, duration, speed } from "../../lib/format.js";
import { html } from "../../lib/html.js";
import { State, Time, Value } from "../../lib/ui.js";
import { phases, speedOf, statusKind, statusText, waited } from "./request.js";

const number = (id, name, value, format, sort = id) => ({ id, name, number: true, sort, value, cell: (row) => html`<${Value} text=${format(value(row))} />` });
const text = (id, name, value = (row) => row[id]) => ({ id, name, value, cell: (row) => value(row) || html`<span class="muted">—</span>` });

/** Every column; `sort` is the field that GET /requests sorts by. */
export const COLUMNS = [
  { id: "ended", name: "Ended", header: true, sort: "ended", value: (row) => row.ended, class: "nowrap" },
  { id: "status", name: "Status", class: "plain", sort: "status", value: (row) => row.status, cell: (row) => html`<${Status} ...${row} />` },
  { ...text("model", "Model"), sort: "model", class: "request-model" },
  { ...text("client", "Client"), sort: "client" },
  text("program", "Program"),
  { ...text("endpoint", "Endpoint"), class: "mono nowrap" },
  number("waited", "Waited", waited, duration, null),
  number("first_token", "First token", (row) => row.first_token_seconds, duration, "first_token_seconds"),
  { ...number("seconds", "Total", (row) => row.seconds, duration), cell: (row) => html`<${Total} record=${row} />` },
  number("tokens_in", "Tokens in", (row) => row.tokens_in, count),
  number("cached", "Cached", (row) => row.tokens_cached, count, "tokens_cached"),
  number("tokens_out", "Tokens out", (row) => row.tokens_out, count),
  number("speed", "Speed", speedOf, speed, null),
  { id: "rewrites", name: "Rewrites", number: true, cell: (row) => (row.rewrites.length ? html`<span title=${row.rewrites.join(", ")}>${row.rewrites.length}</span>` : html`<span class="muted">0</span>`) },
  number("heartbeats", "Heartbeats", (row) => row.heartbeats, count, null),
  { id: "id", name: "Request id", class: "mono nowrap", cell: (row) => row.id },
];

/** What is shown until the user chooses. */
export const DEFAULT_COLUMNS = ["ended", "status", "model", "client", "first_token", "seconds", "tokens_in", "tokens_out", "speed", "rewrites"];

/** The chosen columns, for the table. `onOpen(record)` shows its details; only what the server can sort by has a button. */
export function chosenColumns(chosen, onOpen) {
  return COLUMNS.filter(({ id }) => id === "ended" || chosen.includes(id)).map((column) => ({
    ...column,
    value: column.sort ? column.value : undefined,
    id: column.sort ?? column.id,
    cell: column.id === "ended" ? (row) => html`<button type="button" class="link" onClick=${() => onOpen(row)}><span class="visually-hidden">Details: </span><${Time} at=${row.ended} /></button>` : column.cell,
  }));
}

function Status({ status, code }) {
  return html`<span title=${code || null}><${State} kind=${statusKind(status)}>${statusText(status)}</${State}></span>`;
}

function Total({ record }) {
  return html`<span class="request-total">${duration(record.seconds)}<span class="request-bar" aria-hidden="true">
    ${phases(record).map(({ id, from, to }) => html`<span key=${id} class="phase-${id}" style=${{ flexGrow: (100 * (to - from)) / record.seconds }} />`)}
  </span></span>`;
}
