/** The details of one finished request, in the panel at the side. */

import { get } from "../../lib/api.js";
import { count, duration, speed, time, UNKNOWN } from "../../lib/format.js";
import { html } from "../../lib/html.js";
import { link } from "../../lib/router.js";
import { Copy, Drawer, Empty, ErrorBox, Facts, Loading, State, useLoad, Value } from "../../lib/ui.js";
import { arrived, phases, speedOf, statusKind, statusText } from "./request.js";
import { explain } from "./rules.js";

/** The request with this id: `record` if it is loaded, otherwise it is looked up. `onClose` closes the panel. */
export function Detail({ id, record, onClose }) {
  const found = useLoad((abort) => (record ? Promise.resolve(record) : lookUp(id, abort)), [id]);
  return html`<${Drawer} title="Request" onClose=${onClose}>
    ${found.error && html`<${ErrorBox} title="The request cannot be loaded" error=${found.error} onRetry=${found.reload} />`}
    ${found.isLoading && html`<${Loading} what="the request" />`}
    ${found.data && html`<${Content} record=${found.data} />`}
    ${!found.isLoading && !found.error && !found.data && html`<${Empty} title="No request has this id">It may be older than what is kept, or not have ended yet.</${Empty}>`}
  </${Drawer}>`;
}

async function lookUp(id, abort) {
  const { requests } = await get("requests", { text: id, limit: 10 }, { signal: abort });
  return requests.find((each) => each.id === id) ?? null;
}

function Content({ record }) {
  return html`<div class="row"><${State} kind=${statusKind(record.status)}>${statusText(record.status)}</${State}>
      <a href=${link("models", record.model)}>${record.model}</a>
      <code class="truncate request-id">${record.id}</code><${Copy} text=${record.id} label="Copy id" /></div>
    ${record.code && html`<${ErrorBox} kind=${record.status === 499 ? "info" : record.status < 500 ? "warn" : ""} error=${`Error code: ${record.code}`} />`}
    ${record.gone && html`<p class="note">The client disconnected while the request was ${GONE[record.gone]}.</p>`}
    <section class="stack"><h3>Time</h3><${Waterfall} record=${record} /></section>
    <section class="stack"><h3>Tokens</h3><${Facts} facts=${tokenFacts(record)} /></section>
    <section class="stack"><h3>Request</h3><${Facts} facts=${requestFacts(record)} /></section>
    <section class="stack"><h3>Rewrites</h3><${Rewrites} record=${record} /></section>
    <p class="note">In a terminal: <code>sparkctl requests --text ${record.id}</code></p>`;
}

const GONE = {
  queued: "waiting for its turn",
  loading: "waiting for its model to load",
  prefill: "waiting for its first token",
  decoding: "getting its output",
};

/** Each phase as a bar from its begin to its end, with its duration. */
function Waterfall({ record }) {
  const total = Math.max(record.seconds, 0.001);
  return html`<table class="waterfall">
    <caption class="visually-hidden">Phases of the request</caption>
    <thead class="visually-hidden"><tr><th scope="col">Phase</th><th scope="col">From and to</th><th scope="col">Duration</th></tr></thead>
    <tbody>
      ${phases(record).map(
        ({ id, name, from, to }) => html`<tr key=${id}>
          <th scope="row">${name}</th>
          <td><div class="waterfall-track" title="${duration(from)} to ${duration(to)}">
            <span class="phase-${id}" style=${{ marginInlineStart: `${(100 * from) / total}%`, inlineSize: `${(100 * (to - from)) / total}%` }} />
            <span class="visually-hidden">from ${duration(from)} to ${duration(to)}</span>
          </div></td>
          <td class="number">${duration(to - from)}</td>
        </tr>`,
      )}
      <tr class="waterfall-total"><th scope="row">Total</th><td class="note">${time(arrived(record))} to ${time(record.ended)}</td><td class="number">${duration(record.seconds)}</td></tr>
    </tbody>
  </table>`;
}

function tokenFacts(record) {
  const share = record.tokens_cached !== null && record.tokens_in ? ` (${Math.round((100 * record.tokens_cached) / record.tokens_in)} % of the prompt)` : "";
  const cached = count(record.tokens_cached);
  return [
    ["In", html`<${Value} text=${count(record.tokens_in)} />`],
    ["Of them cached", html`<${Value} text=${cached} />${cached === UNKNOWN ? "" : share}`],
    ["Out", html`<${Value} text=${count(record.tokens_out)} />`],
    ["Speed of the output", html`<${Value} text=${speed(speedOf(record))} />`],
    ["First token after", html`<${Value} text=${duration(record.first_token_seconds)} />`],
  ];
}

function requestFacts(record) {
  return [
    ["Client", record.client],
    ["Program", record.program || "not recognized"],
    ["Endpoint", html`<code>${record.endpoint}</code>`],
    ["Name in the request", html`<code>${record.asked}</code>`],
    ["Response", record.streamed ? "streamed" : "in one piece"],
    ["Heartbeats", record.heartbeats ? count(record.heartbeats) : "none"],
    ["Ended", time(record.ended)],
  ];
}

function Rewrites({ record: { rewrites, model } }) {
  if (!rewrites.length) return html`<p class="note">No rule changed this request.</p>`;
  return html`<dl class="facts rules">${rewrites.map((name) => html`<dt key=${name}><code>${name}</code></dt><dd>${explain(name)}</dd>`)}</dl>
    <p class="note">Keys of the catalogue switch the rules: see the <a href=${link("models", model)}>options of ${model}</a>.</p>`;
}
