/** What the history adds up to: swaps a day, loads of each model, what the memory guard did. */

import { Bars } from "../../lib/bars.js";
import { count, counted, duration } from "../../lib/format.js";
import { html } from "../../lib/html.js";
import { link } from "../../lib/router.js";
import { Card, Figure, Figures, Table, Time, Value } from "../../lib/ui.js";
import { shortLabel } from "../usage/report.js";

const sum = (days, field) => days.reduce((total, each) => total + each[field], 0);

/** Sums of the time that is shown. `summary` is a HistorySummary. */
export function Summary({ summary }) {
  const days = [...summary.days].reverse();
  const length = Math.max(1, (summary.until - summary.since) / 86_400);
  const loads = sum(days, "loads");
  const failed = sum(days, "failed_loads");
  const figures = [
    ["Loads", count(loads), `${count(failed)} failed`],
    ["Swaps", count(sum(days, "swaps")), `${(sum(days, "swaps") / length).toFixed(1)} a day; a model left for another one`],
    ["Crashes", count(sum(days, "crashes")), "engines that failed while they were ready"],
    ["Memory guard", count(sum(days, "guard")), "models that it ended"],
  ];
  return html`<div class="history-figures"><${Figures}>${figures.map(([name, value, note]) => html`<${Card} key=${name}><div class="figure-card"><${Figure} name=${name} value=${value} note=${note} /></div></${Card}>`)}</${Figures}></div>
    <div class="history-sums">
      ${length > 2 && html`<${Card} title="Swaps a day"><${Swaps} summary=${summary} days=${days} /></${Card}>`}
      <${Card} title="Loads" flush><${Loads} models=${summary.models} /></${Card}>
    </div>
    ${summary.guard_events.length > 0 && html`<${Card} title="Memory guard" note=${counted(summary.guard_events.length, "event")} flush><${GuardEvents} events=${summary.guard_events} /></${Card}>`}`;
}

function Swaps({ summary, days }) {
  const names = daysBetween(summary.since, summary.until);
  const swaps = new Map(days.map((each) => [each.day, each.swaps]));
  const groups = [{ name: "Swaps", series: 3, values: names.map((day) => swaps.get(day) ?? 0) }];
  return html`<${Bars} title="Swaps a day" labels=${names.map(shortLabel)} longLabels=${names} groups=${groups} format=${(value) => (Number.isInteger(value) ? count(value) : value.toFixed(1))} />`;
}

/** The local days that a time touches, as YYYY-MM-DD. */
function daysBetween(since, until) {
  const pad = (number) => String(number).padStart(2, "0");
  const first = new Date(since * 1000);
  const days = [];
  for (let n = 0; n < 400; n += 1) {
    const day = new Date(first.getFullYear(), first.getMonth(), first.getDate() + n);
    if (day.getTime() / 1000 > until) break;
    days.push(`${day.getFullYear()}-${pad(day.getMonth() + 1)}-${pad(day.getDate())}`);
  }
  return days;
}

const LOAD_COLUMNS = [
  { id: "model", name: "Model", header: true, value: (row) => row.model, cell: (row) => html`<a href=${link("models", row.model)}>${row.model}</a>` },
  { id: "loads", name: "Loads", number: true, value: (row) => row.loads + row.failed, cell: (row) => count(row.loads + row.failed) },
  { id: "failed", name: "Failed", number: true, value: (row) => row.failed, cell: (row) => count(row.failed) },
  { id: "median", name: "Median", number: true, value: (row) => row.median_seconds, cell: (row) => html`<${Value} text=${duration(row.median_seconds)} />` },
  { id: "last", name: "Last", number: true, value: (row) => row.last, cell: (row) => (row.last ? html`<${Time} at=${row.last} relative />` : html`<span class="muted">never ready</span>`) },
];

function Loads({ models }) {
  return html`<${Table} caption="Loads of each model" columns=${LOAD_COLUMNS} rows=${models} rowKey=${(row) => row.model} sort=${["loads", "descending"]}
    empty=${html`<p class="card-body note">No model was loaded in this time.</p>`} />`;
}

const GUARD_COLUMNS = [
  { id: "at", name: "Time", header: true, value: (row) => row.at, class: "nowrap", cell: (row) => html`<${Time} at=${row.at} />` },
  { id: "model", name: "Model", cell: (row) => row.model || "the machine" },
  { id: "text", name: "What happened", cell: (row) => row.text },
];

function GuardEvents({ events }) {
  return html`<${Table} caption="What the memory guard did" columns=${GUARD_COLUMNS} rows=${events} rowKey=${(row) => `${row.at} ${row.model}`} sort=${["at", "descending"]} />`;
}
