/** The figures at the top. */

import { bytes, compact, percent, power, speed, temperature } from "../../lib/format.js";
import { html } from "../../lib/html.js";
import { inFlight, machine, models, queue } from "../../lib/live.js";
import { Card, Value } from "../../lib/ui.js";

export function NowFigures() {
  return html`<${Card} class="now-figures"><dl>
    <${Cell} name="Free for models" ...${freeMemory()} />
    <${Cell} name="Models in memory" ...${loadedModels()} />
    <${Cell} name="Requests" ...${requests()} />
    <${Cell} name="Output now" ...${output()} />
    <${Cell} name="GPU" ...${gpu()} />
  </dl></${Card}>`;
}

function Cell({ name, value, note }) {
  return html`<div class="now-figure"><dt>${name}</dt><dd><${Value} text=${value} /></dd>${note && html`<dd class="note">${note}</dd>`}</div>`;
}

function freeMemory() {
  const { budget, reserved } = machine.value.memory;
  return { value: bytes(Math.max(0, budget - reserved)), note: `of ${bytes(budget)} that models may use` };
}

function loadedModels() {
  const rows = Object.values(models.value);
  const ready = rows.filter((row) => row.state === "ready").length;
  const loading = rows.filter((row) => row.state === "starting").length;
  return { value: String(ready), note: loading ? `and ${loading} loading` : "ready" };
}

function requests() {
  return { value: String(inFlight.value?.total ?? 0), note: `in flight, ${queue.value?.waiting ?? 0} waiting for a model` };
}

function output() {
  const rows = (inFlight.value?.rows ?? []).filter((row) => row.speed !== null && row.speed !== undefined);
  if (!rows.length) return { value: "0 tok/s", note: "nothing is being generated" };
  const total = rows.reduce((sum, row) => sum + row.speed, 0);
  return { value: speed(total), note: `${compact(rows.length)} ${rows.length === 1 ? "response" : "responses"}` };
}

function gpu() {
  const found = machine.value.gpu;
  if (!found) return { value: "unknown", note: "no GPU found" };
  const reasons = found.throttled?.length ? `, clock limited: ${found.throttled.join(", ").replaceAll("_", " ")}` : "";
  return { value: percent(found.utilization), note: `${temperature(found.temperature)}, ${power(found.power)}${reasons}` };
}
