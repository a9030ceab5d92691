/** The columns of the table. */

import { bytes, count, duration, speed } from "../../lib/format.js";
import { html } from "../../lib/html.js";
import { link, route } from "../../lib/router.js";
import { Elapsed, State, Tags, Time, Value } from "../../lib/ui.js";
import { RowAction } from "./actions.js";
import { isMissing, stateOrder } from "./rows.js";

const COLUMNS = [
  { id: "state", name: "State", value: stateOrder, class: "nowrap plain", cell: (row) => html`<${StateCell} row=${row} />` },
  { id: "id", name: "Model", header: true, value: (row) => row.id, class: "model-name", cell: (row) => html`<${Name} row=${row} />` },
  { id: "abilities", name: "Can do", class: "nowrap plain", cell: (row) => html`<${Tags} tags=${row.abilities.filter((each) => each !== "completion")} />` },
  { id: "context", name: "Context", number: true, value: (row) => row.context, cell: (row) => html`<${Value} text=${count(row.context)} />` },
  { id: "memory", name: "Memory", number: true, value: (row) => row.memory_used ?? row.footprint, cell: (row) => html`<${Memory} row=${row} />` },
  { id: "disk", name: "On disk", number: true, value: (row) => row.disk?.size, cell: (row) => html`<${Disk} row=${row} />` },
  { id: "load", name: "Load time", number: true, value: (row) => row.load_time, cell: (row) => html`<${Value} text=${duration(row.load_time)} />` },
  { id: "speed", name: "Speed", number: true, value: (row) => row.speed, cell: (row) => html`<${Value} text=${speed(row.speed)} />` },
  { id: "used", name: "Last used", number: true, value: (row) => row.last_used, cell: (row) => html`<${LastUsed} row=${row} />` },
];

/** The columns for these rights. `reload` is called after an action that changes what is on disk. */
export function columnsFor({ canOperate, canControl, reload }) {
  if (!canOperate) return COLUMNS;
  const cell = (row) => html`<${RowAction} ...${{ row, canControl, reload }} />`;
  return [...COLUMNS, { id: "actions", name: "Actions", hideName: true, number: true, cell }];
}

function StateCell({ row }) {
  const isCounting = row.live?.load || row.live?.download;
  return html`<${State} state=${row.shown} />
    ${isCounting && html` <span class="note"><${Elapsed} from=${row.live.since} /></span>`}
    ${row.live?.in_flight > 0 && html` <span class="note">${row.live.in_flight} in flight</span>`}`;
}

function Name({ row }) {
  const { text, state, ability } = route.value.query;
  const about = [row.family, row.parameters].filter(Boolean).join(" ");
  return html`<a href=${link("models", row.id, { text, state, ability })} title=${row.description || null}>${row.id}</a>
    ${about && html` <span class="note">${about}</span>`}${row.pinned && html` <span class="tag">pinned</span>`}${row.lifecycle !== "normal" && html` <span class="tag">${row.lifecycle}</span>`}`;
}

function Memory({ row }) {
  const isUsed = row.memory_used !== null;
  const title = isUsed ? `in use as measured; ${bytes(row.footprint)} are reserved` : `reserved when it is loaded, ${row.basis ?? "basis unknown"}`;
  return html`<span title=${title}><${Value} text=${bytes(row.memory_used ?? row.footprint)} />${!isUsed && html`<span class="note"> ${row.basis ?? ""}</span>`}</span>`;
}

function Disk({ row }) {
  if (!row.disk || (row.disk.state === "complete" && !row.disk.size)) {
    return html`<span class="note" title="It needs no files.">none</span>`;
  }
  if (isMissing(row)) {
    return html`<span class="note" title="to download">${row.disk.bytes_left === null ? "missing" : `${bytes(row.disk.bytes_left)} to get`}</span>`;
  }
  return html`<${Value} text=${bytes(row.disk.size)} />`;
}

function LastUsed({ row }) {
  if (row.live?.in_flight) return "now";
  return row.last_used ? html`<${Time} at=${row.last_used} relative />` : html`<span class="unknown">never</span>`;
}
