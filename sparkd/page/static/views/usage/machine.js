/** The machine over time: speed, requests, memory and the GPU, with one crosshair for all. */

import { get } from "../../lib/api.js";
import { BYTE_STEPS, Chart } from "../../lib/chart.js";
import { bytes, count, duration, frequency, percent, power, speed, temperature } from "../../lib/format.js";
import { html, useMemo } from "../../lib/html.js";
import { machine } from "../../lib/live.js";
import { setQuery } from "../../lib/router.js";
import { table } from "../../lib/tables.js";
import { Card, ErrorBox, Loading, Segments, usePoll } from "../../lib/ui.js";

const SPANS = table({
  900: "15 min",
  3600: "1 h",
  21600: "6 h",
  86400: "24 h",
  604800: "7 d",
  2678400: "31 d",
});
const LONGEST_PAUSE = 60;
/** A mean of requests has a fraction. */
const requests = (value) => (value !== null && value !== undefined && value % 1 ? value.toFixed(1) : count(value));
const NO_SENSOR = "Unknown: this GPU does not report it.";
const SENSORS = ["gpu", "temperature", "power", "clock"];

/** The charts. `query` is that of the address. */
export function MachineCharts({ query }) {
  const span = query.span in SPANS ? Number(query.span) : 900;
  const { data, error, isLoading, reload } = usePoll((abort) => get("measurements", { span }, { signal: abort }), [span], Math.min(LONGEST_PAUSE, Math.max(5, span / 240)));
  const choices = Object.entries(SPANS).map(([value, text]) => [Number(value), text]);
  const note = data && !isStale(data, span) ? noteOf(data.step) : "";
  return html`<${Card} title="The machine over time" note=${note} actions=${html`<${Segments} label="Time" value=${span} choices=${choices} onChange=${(value) => setQuery({ span: value })} />`}>
    ${error && html`<${ErrorBox} title="The measurements cannot be loaded" error=${error} onRetry=${reload} />`}
    ${!data && isLoading && html`<${Loading} what="measurements" />`}
    ${data && html`<${Charts} data=${data} />`}
  </${Card}>`;
}

/** How long an interval is. */
function noteOf(step) {
  if (step <= 60) return step < 60 ? `measured every ${step} s` : "means of each minute";
  return `means of ${duration(step)}; the bands go from the lowest to the highest minute`;
}

/** Whether the data is that of another span, which was shown before. */
const isStale = (data, span) => Math.abs(data.at.length * data.step - span) > 2 * data.step + 1;

function Charts({ data }) {
  const total = machine.value?.memory?.total;
  const charts = useMemo(() => describeCharts(data, total), [data, total]);
  const hasSensors = SENSORS.some((name) => data[name].some((value) => value !== null));
  const shown = hasSensors ? charts : charts.slice(0, -SENSORS.length);
  return html`<div class="charts">
    ${shown.map(({ title, ...rest }) => html`<${Chart} key=${title} title=${title} at=${data.at} sync="measurements" ...${rest} />`)}
  </div>
  ${!hasSensors && html`<p class="chart-empty">GPU use, temperature, power and clock are unknown: sparkd measured no GPU in this time.</p>`}`;
}

function describeCharts(data, total) {
  const one = (id, name, color, more = {}) => ({ name, values: data[id], low: data.low[id], high: data.high[id], color, ...more });
  return [
    { title: "Tokens per second", format: speed, series: [one("tokens_out", "out", "--series-5", { fill: !data.high.tokens_out }), one("tokens_in", "in", "--series-7")] },
    { title: "Requests", format: requests, series: [one("in_flight", "in flight", "--series-1", { fill: true }), one("waiting", "waiting", "--series-3")] },
    { title: "Memory", format: bytes, steps: BYTE_STEPS, max: total, series: [one("available", "available", "--series-2"), one("used", "used by models", "--series-1", { fill: true })] },
    { title: "Memory pressure", format: percent, max: pressureMaximum(data.pressure), series: [one("pressure", "time spent waiting for memory", "--series-6", { fill: true })], empty: "Unknown: the kernel does not report it." },
    { title: "GPU use", format: percent, max: 1, series: [one("gpu", "in use", "--series-4", { fill: true })], empty: NO_SENSOR },
    { title: "GPU temperature", format: temperature, series: [one("temperature", "temperature", "--series-3")], empty: NO_SENSOR },
    { title: "GPU power", format: power, series: [one("power", "power", "--series-8", { fill: true })], empty: NO_SENSOR },
    { title: "GPU clock", format: frequency, series: [one("clock", "clock", "--series-7")], empty: NO_SENSOR },
  ];
}

/** A few per cent would be a line at the bottom. */
const pressureMaximum = (values) => Math.max(0.1, ...values.map((value) => value ?? 0));
