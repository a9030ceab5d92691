/** What can be done with a model. Each action that costs something shows its plan before. */

import { post } from "../../lib/api.js";
import { html, useState } from "../../lib/html.js";
import { canControl, canOperate, encodePath, loadModel, stopModel, whyNot } from "../../lib/rights.js";
import { Button, Dialog, ErrorBox, Prose, Select, TextField, confirm, toast } from "../../lib/ui.js";
import { describePlan, fetchPlan } from "./plan.js";

const IDLE = ["stopped", "backoff"];

/** The buttons. `onChange` is called after each. */
export function Actions({ id, status, options, onChange }) {
  const [isHolding, setHolding] = useState(false);
  if (!status) return null;
  if (!canOperate.value) return html`<p class="note">${whyNot}</p>`;
  const isIdle = IDLE.includes(status.state);
  const does = (work) => async () => {
    await work();
    onChange();
  };
  return html`<div class="row">
    ${isIdle && html`<${Button} kind="primary" icon="play" busyText="Loading…" onClick=${does(() => load(id))}>Load</${Button}>`}
    ${!isIdle && html`<${Button} icon="stop" busyText="Stopping…" onClick=${does(() => stop(id, status))}>Stop</${Button}>`}
    ${canControl.value && status.state === "backoff" && html`<${Button} icon="retry" onClick=${does(() => retry(id))}>Allow again</${Button}>`}
    ${canControl.value && html`<${Button} icon="pin" onClick=${() => setHolding(true)}>Hold…</${Button}>`}
    ${isHolding && html`<${HoldDialog} id=${id} onClose=${() => setHolding(false)} onChange=${onChange} />`}
  </div>
  ${options.notes.map((note) => html`<${ErrorBox} key=${note} kind="warn" error=${html`<${Prose} text=${note} />`} />`)}`;
}

/** Load a model after its plan was agreed to, if it stops others. */
async function load(id) {
  if (canControl.value) {
    const plan = await fetchPlan(id);
    const lines = describePlan(plan);
    const stops = plan.evicts.length > 0;
    if (stops || plan.missing.length || plan.verdict === "refused") {
      const content = html`<ul>${lines.map((line) => html`<li key=${line}>${line}</li>`)}</ul>`;
      if (!(await confirm({ title: `Load ${id}?`, content, action: "Load" }))) return;
    }
  }
  toast(`Loading ${id}. It continues if you leave this page open.`);
  // Not awaited: a load takes minutes, and the live state shows it.
  loadModel(id).then(
    () => toast(`${id} is ready.`),
    (error) => toast(error.message, "bad"),
  );
  await new Promise((resolve) => setTimeout(resolve, 600));
}

async function stop(id, status) {
  if (status.in_flight > 0) {
    const content = html`<p>${status.in_flight === 1 ? "A request is" : `${status.in_flight} requests are`} in flight. They finish first.</p>`;
    if (!(await confirm({ title: `Stop ${id}?`, content, action: "Stop" }))) return;
  }
  await stopModel(id);
}

async function retry(id) {
  await post(`models/${encodePath(id)}/retry`);
  toast(`${id} may start again.`);
}

const TIMES = [["1800", "30 minutes"], ["3600", "1 hour"], ["7200", "2 hours"], ["14400", "4 hours"], ["28800", "8 hours"], ["86400", "1 day"]];

function HoldDialog({ id, onClose, onChange }) {
  const [seconds, setSeconds] = useState("3600");
  const [job, setJob] = useState("");
  const [reason, setReason] = useState("");
  const [error, setError] = useState(null);

  async function begin() {
    try {
      await post(`models/${encodePath(id)}/hold`, { seconds: Number(seconds), owner: "page", job, reason });
    } catch (problem) {
      setError(problem);
      return;
    }
    onClose();
    onChange();
  }

  const actions = html`<${Button} onClick=${onClose}>Cancel</${Button}><${Button} kind="primary" onClick=${begin}>Hold</${Button}>`;
  return html`<${Dialog} title="Hold ${id}" onClose=${onClose} actions=${actions}>
    ${error && html`<${ErrorBox} error=${error} />`}
    <p>It is loaded and stays loaded. Models that do not fit beside it wait until the hold ends.</p>
    <${Select} label="For" value=${seconds} choices=${TIMES} onChange=${setSeconds} />
    <${TextField} label="What it is needed for" value=${job} onInput=${setJob} placeholder="evaluation" />
    <${TextField} label="Why others must wait; they read it" value=${reason} onInput=${setReason} />
  </${Dialog}>`;
}
