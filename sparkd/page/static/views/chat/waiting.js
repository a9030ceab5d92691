/** What an answer waits for: its place in the queue, the load of its model, or the first token. */

import { duration, percent } from "../../lib/format.js";
import { html } from "../../lib/html.js";
import { inFlight, models, now, queue, since } from "../../lib/live.js";
import { Progress, State } from "../../lib/ui.js";

/** The state of a waiting answer. Only the phase is announced, not the time. */
export function Waiting({ turn }) {
  const row = inFlight.value?.rows.find(({ id }) => id === turn.requestId);
  const id = row?.model ?? turn.model;
  const model = models.value[id];
  const place = findPlace(row, id);
  const [kind, text] = describe(row?.phase, model, place);
  const waited = since(row?.began) ?? Math.max(0, (Date.now() - turn.began) / 1000);
  const facts = [place?.text, describeRest(place?.ready_at ?? model?.load?.ready_at), `${duration(Math.floor(waited))} so far`];
  const progress = model?.load?.progress ?? null;
  return html`<div class="waiting">
    <span role="status"><${State} kind=${kind}>${text}</${State}></span>
    <span class="note">${facts.filter(Boolean).join(" · ")}</span>
    ${row?.phase === "loading" && progress !== null && html`<${Progress} label="Progress of the load" value=${progress} text=${percent(progress)} />`}
  </div>`;
}

/** The first request in the queue for the same model, while this one waits for it: all of them are served together. */
function findPlace(row, model) {
  const isWaiting = row?.phase === "queued" || row?.phase === "loading";
  return isWaiting ? queue.value?.rows.find((each) => each.model === model) : undefined;
}

function describeRest(readyAt) {
  return readyAt > now.value ? `about ${duration(Math.round(readyAt - now.value))} left` : "";
}

function describe(phase, model, place) {
  if (model?.download) return ["busy", "model is downloaded"];
  if (phase === "queued") return ["info", place ? `position ${place.position} in the queue` : "waits in the queue"];
  if (phase === "loading" || (!phase && model?.state === "starting")) return ["busy", model?.load?.phase ? `model loads: ${model.load.phase}` : "model loads"];
  if (phase === "prefill") return ["busy", "reads the prompt"];
  return ["busy", "waits for the first token"];
}
