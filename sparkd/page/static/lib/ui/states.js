/** States, shares and values. */

import { UNKNOWN } from "../format.js";
import { html } from "../html.js";
import { Shape } from "../icons.js";
import { table } from "../tables.js";

const KINDS = table({
  ready: "ok",
  starting: "busy",
  downloading: "busy",
  draining: "warn",
  stopping: "warn",
  backoff: "bad",
  quarantined: "bad",
  failed: "bad",
  stopped: "idle",
  disabled: "idle",
  queued: "info",
  loading: "busy",
  prefill: "busy",
  decoding: "ok",
});

/** Names for states of the control API, the same as in sparkctl. */
const NAMES = { starting: "loading", draining: "finishing", backoff: "failed" };

/** A state: its name, a shape and a colour. `kind` is found by the state if it is not given. */
export function State({ state, kind, children }) {
  const found = kind ?? KINDS[state] ?? "idle";
  return html`<span class="state ${found}"><${Shape} kind=${found} />${children ?? NAMES[state] ?? state}</span>`;
}

/** A bar from 0 to 1 with its text; without a `value`, a bar that only says that something happens. */
export function Progress({ value, label, text }) {
  return html`<div class="stack progress-row">
    <progress aria-label=${label} value=${value ?? null} max="1" />${text && html`<span class="note">${text}</span>`}
  </div>`;
}

/** A share of something that has a limit. `text` is the value as text; `kind`: "", "warn" or "bad". */
export function Meter({ label, value, max, text, kind = "" }) {
  const share = Math.min(1, Math.max(0, value / max));
  return html`<div class="meter ${kind}" role="meter" aria-label=${label} aria-valuemin="0" aria-valuemax=${max} aria-valuenow=${value} aria-valuetext=${text}>
    <span style=${{ inlineSize: `${share * 100}%` }} />
  </div>`;
}

/** The colour of series number `n`, beside its name. */
export function Swatch({ n, name }) {
  return html`<span class="swatch" style=${{ background: `var(--series-${name ?? (n % 8) + 1})` }} aria-hidden="true" />`;
}

/** A formatted value; an unknown one is a dash that says so. */
export function Value({ text }) {
  return text === UNKNOWN
    ? html`<span class="unknown" title="unknown"><span aria-hidden="true">—</span><span class="visually-hidden">unknown</span></span>`
    : html`<${"span"}>${text}</${"span"}>`;
}
