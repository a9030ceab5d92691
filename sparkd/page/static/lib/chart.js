/** Charts over time, drawn by uPlot: gaps stay gaps, and each chart is also a table. */

import uPlot from "uplot";
import { time, UNKNOWN } from "./format.js";
import { html, useEffect, useId, useMemo, useRef, useState } from "./html.js";
import { theme } from "./theme.js";
import { Swatch, Table, Value } from "./ui.js";

/** What a view with charts adds to its `styles`. */
export const chartStyles = ["../vendor/uplot-1.6.32/uPlot.min.css", "charts.css"];

const HEIGHT = 176;
const MAX_TABLE_ROWS = 400;
const DAY = 86_400;

/** Labels of the time axis by the distance of two ticks; the date is added where it changes. */
const TIME_LABELS = [
  [28 * DAY, "{MMM} {YYYY}", null, null, null, null, null, null, 1],
  [DAY, "{D} {MMM}", null, null, null, null, null, null, 1],
  [60, "{HH}:{mm}", null, null, "\n{D} {MMM}", null, null, null, 1],
  [1, "{HH}:{mm}:{ss}", null, null, "\n{D} {MMM}", null, null, null, 1],
];

/** Distances of two ticks for bytes. */
export const BYTE_STEPS = [0.25, 0.5, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512].map((gib) => gib * 2 ** 30);

/** The value of a CSS variable now: a canvas knows no variables. */
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const variable = (series, index) => series.color ?? `--series-${(index % 8) + 1}`;

/**
 * A chart. `at` are seconds since the epoch, `series` are {name, values, low?, high?, color?, fill?} with null for gaps;
 * `low` and `high` are drawn as a band. `format` turns a value into text. Charts with the same `sync` share their crosshair
 * and their zoom. `max` fixes the upper end, `steps` the distances of ticks; `empty` is the text if no value is known.
 */
export function Chart({ title, at, series, format, sync, max, steps, height = HEIGHT, note, empty }) {
  const [isTable, setTable] = useState(false);
  const [index, setIndex] = useState(null);
  const id = useId();
  const isKnown = series.some(({ values }) => values.some((value) => value !== null));
  return html`<figure class="chart" aria-labelledby=${id}>
    <figcaption class="chart-head">
      <h3 id=${id}>${title}</h3>${note && html`<span class="note">${note}</span>`}
      ${isKnown && html`<button type="button" class="button quiet small" aria-pressed=${isTable ? "true" : "false"} onClick=${() => setTable(!isTable)}
        aria-label="${title}: ${isTable ? "show as chart" : "show as table"}">${isTable ? "Chart" : "Table"}</button>`}
    </figcaption>
    ${!isKnown && html`<p class="chart-empty">${empty ?? "Nothing was measured in this time."}</p>`}
    ${isKnown && isTable && html`<${DataTable} ...${{ title, at, series, format }} />`}
    ${isKnown && !isTable && html`<${Readout} ...${{ at, series, format, index }} />
      <${Plot} ...${{ title, at, series, format, sync, max, steps, height, onIndex: setIndex }} />`}
  </figure>`;
}

/** The values at the crosshair, or the newest ones. */
function Readout({ at, series, format, index }) {
  return html`<p class="chart-readout">
    ${series.map((each, n) => html`<span key=${each.name}><${Swatch} n=${n} name=${each.color?.replace("--series-", "")} />
      <span class="muted">${each.name}</span> <strong><${Value} text=${format(index === null ? newest(each.values) : each.values[index])} /></strong></span>`)}
    <span class="chart-time muted">${index === null ? newestTime(at, series) : time(at[index])}</span>
  </p>`;
}

/** When the newest known value was measured: "now", or the time if that is long ago. */
function newestTime(at, series) {
  const last = Math.max(...series.map(({ values }) => values.findLastIndex((value) => value !== null)));
  return last >= at.length - 3 ? "now" : time(at[last]);
}

const newest = (values) => values.findLast((value) => value !== null);

/** The newest value and the highest one of each series, as text. */
function describe(series, format) {
  return series
    .map(({ name, values, high }) => {
      const known = (high ?? values).filter((value) => value !== null);
      return `${name}: ${format(newest(values))} now, ${known.length ? format(Math.max(...known)) : UNKNOWN} at most`;
    })
    .join("; ");
}

function Plot({ title, at, series, format, sync, max, steps, height, onIndex }) {
  const place = useRef(null);
  const plot = useRef(null);
  const zoom = useRef({ isOn: false });
  const data = useMemo(() => columns(at, series), [at, series]);
  const shape = series.map(({ name, low }) => `${name}${low ? " with band" : ""}`).join();
  useEffect(() => {
    const element = place.current;
    zoom.current = { isOn: false };
    const drawn = new uPlot(options({ series, format, sync, max, steps, height, width: element.clientWidth, onIndex, zoom: zoom.current }), data, element);
    plot.current = drawn;
    const observer = new ResizeObserver(() => drawn.setSize({ width: element.clientWidth, height }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      drawn.destroy();
    };
  }, [shape, sync, max, height, theme.value]);
  useEffect(() => {
    const { isOn } = zoom.current;
    plot.current.setData(data, !isOn);
    if (isOn) plot.current.redraw();
  }, [data]);
  return html`<div class="chart-plot" ref=${place} role="img" aria-label="${title}. ${describe(series, format)}" />`;
}

/** The values of all lines: each series, and the two edges of its band. */
function columns(at, series) {
  return [at, ...series.flatMap(({ values, low, high }) => (low ? [values, high, low] : [values]))];
}

/** @returns {any} */
function options({ series, format, sync, max, steps, height, width, onIndex, zoom }) {
  const lines = [];
  const bands = [];
  series.forEach((each, index) => {
    const stroke = color(variable(each, index));
    lines.push({ stroke, width: 1.75, fill: each.fill ? `${stroke}24` : undefined, points: { show: false } });
    if (each.low) {
      bands.push({ series: [lines.length + 1, lines.length + 2], fill: `${stroke}30` });
      lines.push({ stroke: "transparent", points: { show: false } }, { stroke: "transparent", points: { show: false } });
    }
  });
  return {
    width,
    height,
    padding: [8, 8, 0, 0],
    legend: { show: false },
    cursor: { sync: sync ? { key: sync, setSeries: false } : undefined, points: { show: false }, drag: { x: true, y: false, dist: 8 } },
    scales: { y: { range: (_, low, high) => [Math.min(0, low ?? 0), max ?? ((high ?? 1) * 1.08 || 1)] } },
    axes: axes({ format, steps }),
    bands,
    series: [{}, ...lines],
    hooks: {
      setCursor: [(self) => onIndex(self.cursor.idx ?? null)],
      setSelect: [(self) => (zoom.isOn ||= self.select.width > 0)],
      ready: [(self) => self.over.addEventListener("dblclick", () => (zoom.isOn = false))],
    },
  };
}

function axes({ format, steps }) {
  const axis = {
    stroke: color("--muted"),
    grid: { stroke: color("--border"), width: 1 },
    ticks: { show: false },
    border: { show: false },
    font: `11px ${getComputedStyle(document.body).fontFamily}`,
  };
  return [
    { ...axis, grid: { show: false }, space: 72, size: 36, values: TIME_LABELS },
    { ...axis, size: 68, space: 34, incrs: steps, values: (_, ticks) => ticks.map((tick) => format(tick).replace(/\.0(?= |$)/, "")) },
  ];
}

function DataTable({ title, at, series, format }) {
  const step = Math.max(1, Math.ceil(at.length / MAX_TABLE_ROWS));
  const rows = at.map((_, index) => index).filter((index) => index % step === 0).reverse();
  const shown = [
    { id: "at", name: "Time", header: true, cell: (index) => time(at[index]) },
    ...series.map(({ name, values }) => ({ id: name, name, number: true, cell: (index) => html`<${Value} text=${format(values[index])} />` })),
  ];
  return html`<${Table} caption=${title} columns=${shown} rows=${rows} rowKey=${(index) => at[index]} />`;
}
