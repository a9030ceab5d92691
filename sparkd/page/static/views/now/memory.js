/** The card with the memory: the bar, and under it each share with its figures, and what may be done to models. */

import { bytes, counted, duration } from "../../lib/format.js";
import { html, useState } from "../../lib/html.js";
import { machine, since } from "../../lib/live.js";
import { canOperate, stopModel } from "../../lib/rights.js";
import { link } from "../../lib/router.js";
import { Button, Card, Elapsed, State, Table, Time, Value } from "../../lib/ui.js";
import { MemoryBar } from "./memory_bar.js";
import { memoryShares } from "./shares.js";

export function MemoryCard() {
  const [isTable, setTable] = useState(false);
  const found = memoryShares();
  const actions = html`<${Button} kind="quiet" size="small" icon="table" aria-pressed=${isTable ? "true" : "false"} onClick=${() => setTable(!isTable)}>
    ${isTable ? "Show as bar" : "Show as table"}
  </${Button}>`;
  return html`<${Card} title="Memory" note=${headline(found)} actions=${actions} class="memory-card">
    ${isTable ? html`<${SharesTable} ...${found} />` : html`<${MemoryBar} ...${found} /><${Legend} ...${found} />`}
  </${Card}>`;
}

function headline({ total, available }) {
  const kind = { unified: "shared by CPU and GPU", separate: "of the GPU", host: "of the machine" }[machine.value.memory.kind];
  return `${bytes(available)} of ${bytes(total)} available, ${kind}`;
}

function Legend({ shares, free, floor }) {
  const system = shares.filter((share) => share.kind !== "model");
  const resident = shares.filter((share) => share.kind === "model");
  return html`
    <ul class="memory-legend">
      ${system.map((share) => html`<li key=${share.id}><${Key} share=${share} /><span>${share.name}</span><span class="note">${usedText(share)}</span></li>`)}
      <li><span class="memory-key free" aria-hidden="true" /><span>Free</span><span class="note">${bytes(free)}</span></li>
      <li><span class="memory-key floor" aria-hidden="true" /><span>Guard</span><span class="note">ends a model below ${bytes(floor)} available</span></li>
    </ul>
    <${Residents} shares=${resident} />`;
}

function Key({ share }) {
  return html`<span class="memory-key ${share.kind}" style=${{ "--share": `var(--series-${share.series})` }} aria-hidden="true" />`;
}

function usedText(share) {
  if (share.kind !== "system") return bytes(share.used);
  return `${bytes(share.used)} in use, ${bytes(share.reserved)} kept free for it`;
}

function Residents({ shares }) {
  if (!shares.length) return html`<p class="note memory-empty">No model is in memory. The next request loads the one that it names.</p>`;
  return html`<ul class="residents">${shares.map((share) => html`<${Resident} key=${share.id} share=${share} />`)}</ul>`;
}

function Resident({ share }) {
  const { row } = share;
  return html`<li class="resident">
    <${Key} share=${share} />
    <a class="resident-name" href=${link("models", row.id)}>${row.id}</a>
    <${State} state=${row.state}>${row.state === "starting" ? "loading" : row.state}</${State}>
    <span class="resident-memory"><strong><${Value} text=${bytes(row.memory_used)} /></strong> <span class="note">in use of ${bytes(row.footprint)} reserved</span></span>
    <span class="note resident-use"><${Use} row=${row} /></span>
    ${canOperate.value && html`<${StopButton} row=${row} />`}
  </li>`;
}

function Use({ row }) {
  if (row.state !== "ready") return html`${row.reason || row.load?.phase || ""} <${Elapsed} from=${row.since} />`;
  if (row.in_flight) return `${counted(row.in_flight, "request")} in flight`;
  if (row.holds.length) return html`held until <${Time} at=${row.holds[0].until} />`;
  if (row.pinned) return "pinned";
  if (row.idle_at === null) return "stays until another model needs its memory";
  return `idle, stops in ${duration(Math.max(0, -elapsed(row.idle_at)))}`;
}

/** Seconds since a point in time, negative before it. */
const elapsed = (at) => (since(0) ?? 0) - at;

function StopButton({ row }) {
  const isStopping = row.state === "stopping" || row.state === "draining";
  return html`<${Button} kind="quiet" size="small" icon="stop" disabled=${isStopping} busyText="Stopping…"
    aria-label="Stop ${row.id}" onClick=${() => stopModel(row.id)}>Stop</${Button}>`;
}

const COLUMNS = [
  { id: "name", name: "Share", header: true, cell: (share) => share.name },
  { id: "state", name: "State", cell: (share) => (share.row ? html`<${State} state=${share.row.state} />` : "") },
  { id: "used", name: "In use", number: true, cell: (share) => html`<${Value} text=${bytes(share.used)} />` },
  { id: "reserved", name: "Reserved", number: true, cell: (share) => html`<${Value} text=${bytes(share.reserved)} />` },
];

function SharesTable({ shares, total, free, floor }) {
  const rows = [
    ...shares,
    { id: "free", name: "Free", used: null, reserved: free },
    { id: "total", name: "Total", used: null, reserved: total },
    { id: "floor", name: "The guard ends a model below", used: null, reserved: floor },
  ];
  return html`<${Table} caption="Shares of the memory" columns=${COLUMNS} rows=${rows} rowKey=${(row) => row.id} />`;
}
