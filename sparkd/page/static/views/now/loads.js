/** Loads and downloads that are under way with their steps, and models that failed. */

import { bytes, duration, percent } from "../../lib/format.js";
import { html } from "../../lib/html.js";
import { models, now, since } from "../../lib/live.js";
import { canControl, canOperate, encodePath, stopModel } from "../../lib/rights.js";
import { link } from "../../lib/router.js";
import { post } from "../../lib/api.js";
import { Button, Card, Elapsed, Prose, State } from "../../lib/ui.js";

export function Loads() {
  const rows = Object.values(models.value);
  const loading = rows.filter((row) => row.load || row.download);
  const failed = rows.filter((row) => row.state === "backoff");
  return html`
    ${loading.length > 0 && html`<${Card} title="Loading" note="with what each step usually takes">
      <div class="loads">${loading.map((row) => html`<${Load} key=${row.id} row=${row} />`)}</div>
    </${Card}>`}
    ${failed.length > 0 && html`<${Card} title="Failed">
      <div class="loads">${failed.map((row) => html`<${Failed} key=${row.id} row=${row} />`)}</div>
    </${Card}>`}`;
}

function Load({ row }) {
  const isDownload = !row.load;
  return html`<article class="load" aria-label=${row.id}>
    <div class="load-head">
      <h3><a href=${link("models", row.id)}>${row.id}</a></h3>
      <${State} state=${isDownload ? "downloading" : "starting"}>${isDownload ? "downloading" : "loading"}</${State}>
      <span class="note">${isDownload ? downloadText(row.download) : loadText(row)}</span>
      <span class="actions">${canOperate.value && html`<${CancelButton} row=${row} />`}</span>
    </div>
    ${isDownload ? html`<${DownloadBar} row=${row} />` : html`<${Phases} load=${row.load} />`}
  </article>`;
}

function CancelButton({ row }) {
  return html`<${Button} kind="quiet" size="small" icon="close" busyText="Cancelling…" aria-label="Cancel the load of ${row.id}"
    onClick=${() => stopModel(row.id)}>Cancel</${Button}>`;
}

function loadText({ load }) {
  const parts = [`${duration(since(load.began))} so far`];
  if (load.usual) parts.push(`usually ${duration(load.usual)}`);
  if (load.ready_at) parts.push(leftText(load.ready_at));
  parts.push(load.warm ? "warm start" : "cold start");
  return parts.join(" · ");
}

/** The time until a point in time, as precise as an estimate is. */
export function leftText(at) {
  const left = at - now.value;
  if (left < 7.5) return "a few seconds left";
  const rounded = left < 60 ? Math.round(left / 5) * 5 : Math.round(left / 10) * 10;
  return `about ${duration(left < 105 ? rounded : Math.round(left / 60) * 60)} left`;
}

function Phases({ load }) {
  const { phases } = load;
  if (!phases.length) {
    const text = load.phase ?? "The engine has not reported a step yet.";
    return html`<progress aria-label="Load" value=${null} max="1" /><span class="note">${text}</span>`;
  }
  const current = phases.findIndex((phase) => phase.name === load.phase);
  return html`<ol class="phases">
    ${phases.map((phase, index) => html`<${Phase} key=${phase.name} ...${{ phase, load, place: placeOf(index, current) }} />`)}
  </ol>`;
}

const placeOf = (index, current) => (index < current ? "done" : index === current ? "current" : "next");

function Phase({ phase, load, place }) {
  const seconds = place === "current" ? since(load.phase_since) : phase.took;
  return html`<li class="phase ${place}" style=${{ flexGrow: Math.max(1, Math.sqrt(phase.usual ?? phase.took ?? 1)) }} aria-current=${place === "current" ? "step" : null}>
    <span class="phase-bar"><span style=${{ inlineSize: `${shareOf(phase, load, place, seconds) * 100}%` }} /></span>
    <span class="phase-name">${phase.name}${place === "done" && html`<span class="visually-hidden"> (done)</span>`}</span>
    <span class="note">${phaseText(phase, load, place, seconds)}</span>
  </li>`;
}

/** How much of a phase is done: as it says itself, otherwise by its usual time, and then never all of it. */
function shareOf(phase, load, place, seconds) {
  if (place !== "current") return place === "done" ? 1 : 0;
  if (load.progress !== null) return load.progress;
  return phase.usual ? Math.min(0.95, seconds / phase.usual) : 0.5;
}

function phaseText(phase, load, place, seconds) {
  const usual = phase.usual ? `usually ${duration(phase.usual)}` : "";
  if (place === "next") return usual || "—";
  if (place === "done") return [duration(seconds), usual].filter(Boolean).join(", ");
  const share = load.progress === null ? "" : percent(load.progress);
  return [share, duration(seconds), usual].filter(Boolean).join(", ");
}

function downloadText({ done, total, ends_at: endsAt }) {
  const parts = [total ? `${bytes(done)} of ${bytes(total)}` : `${bytes(done)} so far`];
  if (endsAt) parts.push(leftText(endsAt));
  return parts.join(" · ");
}

function DownloadBar({ row }) {
  const { done, total, source, step } = row.download;
  return html`<progress aria-label="Download of ${row.id}" value=${total ? done / total : null} max="1" />
    <span class="note">${source || step}</span>`;
}

function Failed({ row }) {
  const retry = row.quarantined ? "It does not start again before you retry it." : html`The next request starts it, ${untilText(row.retry_at)}.`;
  return html`<article class="load failed" aria-label=${row.id}>
    <div class="load-head">
      <h3><a href=${link("models", row.id)}>${row.id}</a></h3>
      <${State} state=${row.quarantined ? "quarantined" : "failed"} />
      <span class="note">failed <${Elapsed} from=${row.since} /> ago. ${retry}</span>
      <span class="actions">
        <a class="button quiet small" href=${link("logs", row.id)}>Logs</a>
        ${canControl.value && html`<${Button} size="small" icon="retry" onClick=${() => post(`models/${encodePath(row.id)}/retry`)}>Retry</${Button}>`}
      </span>
    </div>
    <p class="load-cause"><${Prose} text=${row.cause ?? ""} /></p>
  </article>`;
}

function untilText(at) {
  const left = (at ?? 0) - now.value;
  return left > 1 ? `in ${duration(left)} at the earliest` : "at once";
}
