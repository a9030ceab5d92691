/** What an answer waits for: its place in the queue, the load of its model, or the first token. */

import { duration, percent } from "../../lib/format.js";
import { html } from "../../lib/html.js";
import { inFlight, models, now, queue } from "../../lib/live.js";
import { Progress, State } from "../../lib/ui.js";

/** The state of a waiting answer. Only the phase is announced, not the time. */
export function Waiting({ turn }) {
  const row = find(queue.value, turn.requestId) ?? find(inFlight.value, turn.requestId);
  const model = models.value[row?.model ?? turn.model];
  const [kind, text] = describe(row, model);
  const seconds = Math.max(0, (Date.now() - turn.began) / 1000);
  return html`<div class="waiting" data-now=${Math.floor(now.value)}>
    <span role="status"><${State} kind=${kind}>${text}</${State}></span>
    <span class="note">${row?.text ?? row?.reason ?? model?.forecast?.text ?? ""} ${duration(Math.floor(seconds))} so far</span>
    ${model?.state === "starting" && typeof model.progress === "number" && html`<${Progress} label="Load" value=${model.progress} text=${percent(model.progress)} />`}
  </div>`;
}

const find = (section, id) => section?.rows?.find((row) => row.id === id);

function describe(row, model) {
  if (row?.position) return ["info", `waits in the queue, position ${row.position}`];
  if (row?.phase === "queued") return ["info", "waits in the queue"];
  if (row?.phase === "loading" || model?.state === "starting") return ["busy", `model loads${model?.phase ? `: ${model.phase}` : ""}`];
  if (model?.state === "downloading") return ["busy", "model is downloaded"];
  return ["busy", "waits for the first token"];
}
