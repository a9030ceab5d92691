/** Loads: how long the model's past loads took, phase by phase. */

import { get } from "../../lib/api.js";
import { duration } from "../../lib/format.js";
import { html } from "../../lib/html.js";
import { Empty, ErrorBox, Loading, Swatch, Table, useLoad } from "../../lib/ui.js";

/** The tab. */
export function Loads({ path, status }) {
  const { data, error, reload } = useLoad((signal) => get(`models/${path}/loads`, {}, { signal }), [path, status?.state]);
  if (error) return html`<${ErrorBox} title="The loads cannot be shown" error=${error} onRetry=${reload} />`;
  if (!data) return html`<${Loading} what="its loads" />`;
  if (!data.length) return html`<${Empty} title="It was not loaded yet">As it is defined now, no load of it is known.</${Empty}>`;
  const rows = data.map((load, index) => ({ ...load, index })).reverse();
  const longest = Math.max(...rows.map((row) => row.seconds));
  return html`<div class="stack">
    <p class="note">Its last loads, the newest first. A warm load is forked from a process that has imported the engine already.</p>
    <${Table} caption="Loads" rows=${rows} rowKey=${(row) => row.index} columns=${columns(longest)} />
  </div>`;
}

const columns = (longest) => [
  { id: "seconds", name: "Took", header: true, cell: (row) => html`<span class="nowrap">${duration(row.seconds)}</span>` },
  { id: "warm", name: "Start", cell: (row) => (row.warm === null ? html`<span class="unknown">unknown</span>` : row.warm ? "warm" : "cold") },
  { id: "phases", name: "Phases", class: "phases-cell", cell: (row) => html`<${Phases} phases=${row.phases} scale=${row.seconds / longest} />` },
];

/** Phases as one bar with a legend. `scale` is the bar's share of the width. */
export function Phases({ phases, scale = 1 }) {
  const entries = Object.entries(phases).filter(([, seconds]) => seconds > 0);
  const total = entries.reduce((sum, [, seconds]) => sum + seconds, 0);
  if (!total) return html`<span class="unknown">unknown</span>`;
  return html`<div class="past-phases">
    <div class="past-phase-bar" aria-hidden="true" style=${{ inlineSize: `${scale * 100}%` }}>
      ${entries.map(([name, seconds], n) => html`<span key=${name} style=${{ flexGrow: seconds / total, background: `var(--series-${(n % 8) + 1})` }} />`)}
    </div>
    <ul class="phase-list">${entries.map(([name, seconds], n) => html`<li key=${name}><${Swatch} n=${n} /> ${name} <span class="muted">${duration(seconds)}</span></li>`)}</ul>
  </div>`;
}
