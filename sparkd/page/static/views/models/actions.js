/** The one action that suits a model's state. An action that costs something shows its plan before. */

import { get, post } from "../../lib/api.js";
import { bytes } from "../../lib/format.js";
import { html } from "../../lib/html.js";
import { encodePath, loadModel, stopModel } from "../../lib/rights.js";
import { Button, confirm, toast, toastError } from "../../lib/ui.js";
import { describePlan } from "../model/plan.js";
import { isMissing } from "./rows.js";

export function RowAction({ row, canControl, reload }) {
  const action = actionFor(row, canControl);
  if (!action) return null;
  const { icon, text, run, kind = "quiet" } = action;
  return html`<${Button} kind=${kind} size="small" icon=${icon} aria-label="${text} ${row.id}" onClick=${() => run(row, reload, canControl)}>${text}</${Button}>`;
}

function actionFor(row, canControl) {
  const isActive = ["starting", "ready", "draining", "stopping", "downloading"].includes(row.shown);
  if (!row.enabled || row.shown === "draining" || row.shown === "stopping") return null;
  if (isActive) return row.shown === "ready" ? { icon: "stop", text: "Stop", run: stop } : { icon: "close", text: "Cancel", run: stop };
  if (row.shown === "quarantined" || row.shown === "failed") return canControl ? { icon: "retry", text: "Retry", run: retry } : null;
  if (isMissing(row)) return canControl ? { icon: "download", text: "Pull", run: pull } : null;
  return { icon: "play", text: "Load", run: load };
}

/** Load a model after its plan was agreed to. Not awaited: a load takes minutes, and the live state shows it. */
async function load(row, _reload, canControl) {
  if (canControl) {
    const plan = await get(`models/${encodePath(row.id)}/plan`);
    const content = html`<ul class="plan">${describePlan(plan).map((line) => html`<li key=${line}>${line}</li>`)}</ul>`;
    const command = html`<p class="note">In a terminal: <code>sparkctl load ${row.id}</code></p>`;
    if (!(await confirm({ title: `Load ${row.id}?`, content: html`${content}${command}`, action: "Load" }))) return;
  }
  loadModel(row.id).then(() => toast(`${row.id} is ready.`), toastError);
  toast(`Loading ${row.id}. It continues if you leave this page.`);
}

async function stop(row) {
  const inFlight = row.live?.in_flight ?? 0;
  if (inFlight > 0) {
    const content = html`<p>${inFlight === 1 ? "A request is" : `${inFlight} requests are`} in flight. They finish first.</p>`;
    if (!(await confirm({ title: `Stop ${row.id}?`, content, action: "Stop" }))) return;
  }
  await stopModel(row.id);
}

async function retry(row) {
  await post(`models/${encodePath(row.id)}/retry`);
  toast(`${row.id} may start again. The next request loads it.`);
}

async function pull(row, reload) {
  const size = row.disk?.bytes_left === null ? "a size that is unknown until it begins" : bytes(row.disk?.bytes_left);
  const content = html`<p>Downloads ${size} from ${row.source}.</p><p class="note">In a terminal: <code>sparkctl pull ${row.id}</code></p>`;
  if (!(await confirm({ title: `Pull ${row.id}?`, content, action: "Pull" }))) return;
  post(`models/${encodePath(row.id)}/pull`).then(() => (toast(`${row.id} is on disk.`), reload()), toastError);
  toast(`Downloading ${row.id}. It continues if you leave this page.`);
}
