/** Overview: what the model is, its memory, its last run, its holds. */

import { del } from "../../lib/api.js";
import { bytes, count, duration } from "../../lib/format.js";
import { html } from "../../lib/html.js";
import { canControl } from "../../lib/rights.js";
import { Button, ErrorBox, Facts, Progress, Prose, Tags, Value } from "../../lib/ui.js";
import { Phases } from "./loads.js";
import { Past } from "./past.js";

const BASIS = {
  learned: "learned from its last runs",
  declared: "declared in the catalogue",
  implied: "implied by its options",
  guessed: "unknown, so all that it may use",
};

/** The tab. */
export function Overview({ id, path, status, options, onChange }) {
  const value = (key) => options.options.find((each) => each.key === key)?.value;
  return html`<div class="stack model-overview">
    ${value("description") && html`<p>${value("description")}</p>`}
    ${status && html`<${Trouble} status=${status} /><${Loading} status=${status} />`}
    ${!status && value("reason") && html`<${ErrorBox} kind="info" title="Disabled" error=${value("reason")} />`}
    ${status && html`<${Past} id=${id} path=${path} state=${status.state} />`}
    <${Facts} facts=${about(value, options)} />
    ${status && html`
      <h3>Memory</h3><${Memory} status=${status} />
      ${status.last_run && html`<h3>Last run</h3><${LastRun} run=${status.last_run} />`}
      <${Holds} holds=${status.holds} onChange=${onChange} />`}
  </div>`;
}

function about(value, options) {
  const list = (key) => (value(key)?.length ? html`<${Tags} tags=${value(key)} />` : undefined);
  const context = value("context_length");
  return [
    ["Source", value("source") ? html`<span class="mono">${value("source")}</span>` : undefined],
    ["Runtime", value("runtime") ?? value("engine")],
    ["Context", context ? `${count(context)} tokens` : html`<${Value} text="unknown" />`],
    ["Size", value("parameters") || undefined],
    ["Family", value("family") ?? undefined],
    ["Tags", list("tags")],
    ["Other names", list("aliases")],
    ["Status", value("status")],
    ["Defined in", html`<span class="mono">${options.file}</span>`],
  ];
}

function Trouble({ status }) {
  const rejected = status.rejected_requests.length;
  return html`${status.cause && html`<${ErrorBox} title=${status.quarantined ? "In quarantine" : "Its last start failed"} error=${html`<${Prose} text=${status.cause} />`} />`}
    ${status.retry_after !== null && html`<p class="note">It may start again in ${duration(status.retry_after)}.</p>`}
    ${rejected > 0 && html`<${ErrorBox} kind="warn" title="Some requests are rejected" error="${rejected === 1 ? "A request" : `${rejected} kinds of requests`} made its engine fail repeatedly." />`}`;
}

function Loading({ status }) {
  if (!status.phase) return null;
  const left = status.forecast?.seconds ?? status.download_seconds_left;
  const text = `${status.phase}${left === null || left === undefined ? "" : `, about ${duration(left)} left`}`;
  return html`<${Progress} value=${status.progress} label="Loading" text=${text} />`;
}

function Memory({ status }) {
  const rows = [
    ["Reserves", `${bytes(status.footprint)}, ${BASIS[status.basis] ?? status.basis}`],
    ["Declared", bytes(status.declared)],
    ["Learned", bytes(status.learned)],
    ["Uses now", ["stopped", "backoff"].includes(status.state) ? "nothing" : bytes(status.memory_used)],
  ];
  if (status.last_run) rows.push(["Last run", `${bytes(status.last_run.peak)} at most, ${bytes(status.last_run.final)} at its end`]);
  if (status.host_memory !== null) rows.push(["Host memory", `${bytes(status.host_memory)}, with page cache`]);
  return html`<${Facts} facts=${rows.map(([name, text]) => [name, html`<${Value} text=${text} />`])} />`;
}

function LastRun({ run }) {
  return html`<p>It was ready after ${duration(run.load_time)}.</p><${Phases} phases=${run.phases} />`;
}

function Holds({ holds, onChange }) {
  if (!holds.length) return null;
  const release = async (hold) => {
    await del(`holds/${encodeURIComponent(hold.id)}`);
    onChange();
  };
  return html`<h3>Holds</h3><ul class="hold-list">
    ${holds.map((hold) => html`<li key=${hold.id} class="row spread">
      <span>${hold.owner || "somebody"}${hold.job && ` for ${hold.job}`}${hold.reason && `: ${hold.reason}`} <span class="note">${duration(hold.seconds_left)} left</span></span>
      ${canControl.value && html`<${Button} size="small" onClick=${() => release(hold)}>End</${Button}>`}
    </li>`)}
  </ul>`;
}
