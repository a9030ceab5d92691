/** How much each API key, model and program used: totals, bars and a table. */

import { get } from "../../lib/api.js";
import { Bars } from "../../lib/bars.js";
import { download } from "../../lib/download.js";
import { compact, count, duration, percent, speed } from "../../lib/format.js";
import { html, useMemo } from "../../lib/html.js";
import { now } from "../../lib/live.js";
import { setQuery } from "../../lib/router.js";
import { Button, Card, Empty, ErrorBox, Figure, Figures, Loading, Segments, Select, Swatch, Table, useLoad, usePoll, Value } from "../../lib/ui.js";
import { EnergyFigure, PeakFigure } from "./days.js";
import { barGroups, groupRows, GROUPS, MEASURES, periodsOf, RANGES, shortLabel, usageQuery } from "./report.js";

const REFRESH = 60;

/** Usage in a range. `query` is that of the address. */
export function ClientUsage({ query }) {
  const range = query.range in RANGES ? query.range : "30d";
  const group = query.group in GROUPS ? query.group : "client";
  const measure = query.measure in MEASURES ? query.measure : "tokens_out";
  const { data, error, reload } = usePoll((abort) => get("usage", usageQuery(range, group, now.value), { signal: abort }), [range, group], REFRESH);
  const days = useLoad((abort) => get("measurements/days", {}, { signal: abort }), []).data;
  const shown = data?.group.join() === group ? data : null;
  return html`<${Card} title="Requests and tokens" actions=${html`<${Segments} label="Range" value=${range} choices=${choices(RANGES)} onChange=${(value) => setQuery({ range: value })} />`}>
    <div class="stack usage-clients">
      ${error && html`<${ErrorBox} title="The usage cannot be loaded" error=${error} onRetry=${reload} />`}
      ${!shown && !error && html`<${Loading} what="usage" />`}
      ${shown && html`<${Totals} total=${shown.total} days=${days} range=${range} /><${Breakdown} ...${{ report: shown, range, group, measure }} />`}
    </div>
  </${Card}>`;
}

const choices = (named) => Object.entries(named).map(([value, { name }]) => [value, name]);

function Totals({ total, days, range }) {
  const failed = total.requests ? total.failed / total.requests : null;
  const cached = total.tokens_cached !== null && total.tokens_in ? total.tokens_cached / total.tokens_in : null;
  const figures = [
    ["Requests", count(total.requests), `${count(total.failed)} failed${failed === null ? "" : ` (${percent(failed)})`}, ${count(total.disconnected)} disconnected`],
    ["Tokens out", compact(total.tokens_out), total.tokens_per_second === null ? "" : `${speed(total.tokens_per_second)} on average`],
    ["Tokens in", compact(total.tokens_in), cached === null ? "" : `${percent(cached)} of them cached`],
    ["Busy time", duration(total.busy_seconds), total.first_token_seconds === null ? "" : `first token after ${duration(total.first_token_seconds)}`],
  ];
  return html`<div class="usage-figures"><${Figures}>
    ${figures.map(([name, value, note]) => html`<${Figure} key=${name} name=${name} value=${html`<${Value} text=${value} />`} note=${note} />`)}
    <${PeakFigure} days=${days} since=${periodsOf(range, now.value)[0]} /><${EnergyFigure} days=${days} since=${periodsOf(range, now.value)[0]} />
  </${Figures}></div>`;
}

function Breakdown({ report, range, group, measure }) {
  const periods = periodsOf(range, now.peek());
  const key = periods.at(-1);
  const groups = useMemo(() => barGroups(report.rows, group, measure, periods), [report, group, measure, key]);
  const rows = useMemo(() => groupRows(report.rows, group, measure), [report, group, measure]);
  const { name, format } = MEASURES[measure];
  if (!report.rows.length) return html`<${Empty} title="No requests in this range">Choose a longer range.</${Empty}>`;
  return html`<div class="filter-bar">
      <${Select} label="Show" value=${measure} choices=${choices(MEASURES)} onChange=${(value) => setQuery({ measure: value })} />
      <${Select} label="By" value=${group} choices=${choices(GROUPS)} onChange=${(value) => setQuery({ group: value })} />
      <${Button} icon="download" busyText="Fetching…" onClick=${() => download("usage.csv", usageQuery(range, group, now.value), "usage.csv")}>CSV</${Button}>
    </div>
    <${Bars} title="${name} by ${RANGES[range].by}" labels=${periods.map(shortLabel)} longLabels=${periods} groups=${groups} format=${format} />
    <${GroupTable} ...${{ rows, groups, group, total: report.total }} />
    ${report.truncated && html`<p class="note">There are more rows than a response may have. The oldest are left out here, but not in the totals.</p>`}`;
}

function GroupTable({ rows, groups, group, total }) {
  const colors = new Map(groups.map(({ name, series }) => [name, series]));
  const value = (id, name, format) => ({ id, name, number: true, value: (row) => row[id], cell: (row) => html`<${Value} text=${format(row[id])} />` });
  const columns = useMemo(
    () => [
      { id: "name", name: GROUPS[group].name, header: true, value: (row) => row.name, cell: (row) => html`<span class="usage-name"><${Swatch} name=${seriesOf(colors, row.name)} />${row.name}</span>` },
      value("requests", "Requests", count),
      value("failed", "Failed", count),
      value("tokens_in", "Tokens in", compact),
      value("tokens_cached", "Cached", compact),
      value("tokens_out", "Tokens out", compact),
      value("busy_seconds", "Busy time", duration),
    ],
    [group, groups],
  );
  return html`<${Table} caption="Usage by ${GROUPS[group].name}" columns=${columns} rows=${rows} rowKey=${(row) => row.name} />
    <p class="note">In all: ${count(total.requests)} requests, ${compact(total.tokens_in)} tokens in, ${compact(total.tokens_out)} tokens out, ${duration(total.busy_seconds)} busy.</p>`;
}

/** The small groups share a colour. */
const seriesOf = (colors, name) => colors.get(name) ?? "system";
