/** Plan: what a request for the model would do now, as `sparkctl plan` says it. */

import { get } from "../../lib/api.js";
import { bytes, duration } from "../../lib/format.js";
import { html } from "../../lib/html.js";
import { encodePath } from "../../lib/rights.js";
import { ErrorBox, Facts, Loading, Prose, usePoll } from "../../lib/ui.js";

/** The plan of a model. */
export const fetchPlan = (id, signal) => get(`models/${encodePath(id)}/plan`, {}, { signal });

/** The tab. */
export function PlanTab({ id, status }) {
  const { data, error, reload } = usePoll((signal) => fetchPlan(id, signal), [id, status?.state], 5);
  if (error) return html`<${ErrorBox} title="There is no plan" error=${error} onRetry=${reload} />`;
  if (!data) return html`<${Loading} what="the plan" />`;
  const missing = data.missing.map((text) => html`<${ErrorBox} key=${text} kind="warn" error=${html`<${Prose} text=${text} />`} />`);
  return html`<div class="stack">
    <p class="plan-verdict">${verdict(data)}</p>
    ${missing}
    <${Facts} facts=${[
      ["Stops", data.evicts.length ? data.evicts.join(", ") : "no other model"],
      ["Loads before it", data.launched_before.length ? data.launched_before.join(", ") : undefined],
      ["Memory", `${bytes(data.footprint)} (${data.basis})`],
      ["Its start takes", data.load_time === null ? "unknown" : `about ${duration(data.load_time)}`],
    ]} />
    <p class="note">This is a forecast for a request that arrives now. In a terminal: <code>sparkctl plan ${id}</code>.</p>
  </div>`;
}

/** The plan as sentences. */
export function describePlan(plan) {
  const lines = [...plan.missing, verdict(plan)];
  if (plan.evicts.length) lines.push(`It stops ${plan.evicts.join(", ")}.`);
  if (plan.launched_before.length) lines.push(`Before it, ${plan.launched_before.join(", ")} will be loaded.`);
  lines.push(`It needs ${bytes(plan.footprint)} (${plan.basis}).`);
  return lines;
}

function verdict(plan) {
  const when = plan.seconds === null ? "" : `; ready in about ${duration(plan.seconds)}`;
  switch (plan.verdict) {
    case "ready":
      return "It is ready: a request is answered at once.";
    case "starting":
      return `It is starting${when}.`;
    case "launch":
      return `It would be loaded${when}.`;
    case "refused":
      return `A request would be rejected: ${plan.reason}`;
    default:
      return `A request would wait for an unknown time: ${plan.reason}`;
  }
}
