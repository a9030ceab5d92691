/** Charts over time, drawn by uPlot: gaps stay gaps, and each chart is also a table. */

import uPlot from "uplot";
import { html, useEffect, useId, useRef, useState } from "./html.js";
import { time } from "./format.js";
import { theme } from "./theme.js";
import { Table } from "./ui.js";

const HEIGHT = 180;
const MAX_TABLE_ROWS = 400;

/** The value of a CSS variable now: a canvas knows no variables. */
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/**
 * A chart. `at` are seconds since the epoch, `series` are {name, values, color?, fill?} with null for gaps, `format` turns a
 * value into text. Charts with the same `sync` share their crosshair. `max` fixes the upper end.
 */
export function Chart({ title, at, series, format, sync, max, height = HEIGHT, note }) {
  const [isTable, setTable] = useState(false);
  const id = useId();
  return html`<figure class="chart" aria-labelledby=${id}>
    <figcaption class="chart-head" id=${id}>
      <h3>${title}</h3><span class="note">${note ?? describe(series, format)}</span>
      <button type="button" class="button quiet small" aria-pressed=${isTable ? "true" : "false"} onClick=${() => setTable(!isTable)}>
        ${isTable ? "Show as chart" : "Show as table"}
      </button>
    </figcaption>
    ${isTable ? html`<${DataTable} ...${{ title, at, series, format }} />` : html`<${Plot} ...${{ title, at, series, format, sync, max, height }} />`}
  </figure>`;
}

/** The newest values as text. */
function describe(series, format) {
  return series.map(({ name, values }) => `${name}: ${format(values.findLast((value) => value !== null))}`).join(" · ");
}

function Plot({ title, at, series, format, sync, max, height }) {
  const place = useRef(null);
  const plot = useRef(null);
  const data = [at, ...series.map(({ values }) => values)];
  useEffect(() => {
    plot.current = new uPlot(options({ series, format, sync, max, height, width: place.current.clientWidth }), data, place.current);
    const observer = new ResizeObserver(() => plot.current.setSize({ width: place.current.clientWidth, height }));
    observer.observe(place.current);
    return () => {
      observer.disconnect();
      plot.current.destroy();
    };
  }, [series.map(({ name }) => name).join(), sync, max, height, theme.value]);
  useEffect(() => plot.current?.setData(data), [at, series]);
  return html`<div ref=${place} role="img" aria-label="${title}. ${describe(series, format)}" />`;
}

function options({ series, format, sync, max, height, width }) {
  const axis = { stroke: color("--muted"), grid: { stroke: color("--border"), width: 1 }, ticks: { show: false }, font: "11px system-ui" };
  return {
    width,
    height,
    cursor: { sync: sync ? { key: sync } : undefined, points: { size: 6 } },
    scales: { y: { range: (_, low, high) => [Math.min(0, low ?? 0), max ?? ((high ?? 1) * 1.08 || 1)] } },
    axes: [axis, { ...axis, size: 64, values: (_, ticks) => ticks.map((tick) => format(tick)) }],
    series: [
      { value: (_, value) => (value === null ? "—" : time(value)) },
      ...series.map(({ name, color: variable, fill }, index) => ({
        label: name,
        stroke: color(variable ?? `--series-${(index % 8) + 1}`),
        fill: fill ? `${color(variable ?? `--series-${(index % 8) + 1}`)}22` : undefined,
        width: 1.5,
        spanGaps: false,
        points: { show: false },
        value: (_, value) => (value === null ? "—" : format(value)),
      })),
    ],
  };
}

function DataTable({ title, at, series, format }) {
  const step = Math.max(1, Math.ceil(at.length / MAX_TABLE_ROWS));
  const rows = at.map((_, index) => index).filter((index) => index % step === 0).reverse();
  const columns = [
    { id: "at", name: "Time", header: true, cell: (index) => time(at[index]) },
    ...series.map(({ name, values }) => ({ id: name, name, number: true, cell: (index) => format(values[index]) })),
  ];
  return html`<${Table} caption=${title} columns=${columns} rows=${rows} rowKey=${(index) => at[index]} />`;
}
