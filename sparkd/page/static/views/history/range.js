/** Which time is shown: a span that ends now, or a part that was zoomed into. Both are in the address. */

import { html } from "../../lib/html.js";
import { now } from "../../lib/live.js";
import { setQuery } from "../../lib/router.js";
import { Button, IconButton, Segments } from "../../lib/ui.js";

const SPANS = [
  [3600, "1 h"],
  [21600, "6 h"],
  [86400, "24 h"],
  [604800, "7 d"],
  [2592000, "30 d"],
];
const SHORTEST = 60;
const LONGEST = 31 * 86_400;

/** {from, to, span, isLive}: `to` is null for a span that ends now. */
export function rangeOf({ span, from, to }) {
  const begin = Number(from);
  const end = Number(to);
  if (begin > 0 && end > begin) return { from: begin, to: end, span: end - begin, isLive: false };
  const wanted = Number(span);
  return { from: null, to: null, span: SPANS.some(([each]) => each === wanted) ? wanted : 86_400, isLive: true };
}

/** The query of GET /history. Without an end, it is the present of sparkd's clock: what has just happened is in it. */
export function queryOf({ from, to, span, isLive }) {
  return isLive ? { from: now.peek() - span, to: null } : { from, to };
}

/** Show this part, in seconds since the epoch. What is shorter than a minute is widened. */
export function zoomTo(from, to) {
  const widen = Math.max(0, SHORTEST - (to - from)) / 2;
  const end = Math.min(now.peek(), to + widen);
  setQuery({ from: Math.round(Math.min(from - widen, end - SHORTEST)), to: Math.round(end), span: "" });
}

/** Chooses the time. */
export function RangeChoice({ range }) {
  const to = range.isLive ? now.peek() : range.to;
  const span = range.span;
  const from = to - span;
  const move = (share) => zoomTo(from + span * share, to + span * share);
  const zoom = (factor) => {
    const wanted = Math.min(LONGEST, span * factor);
    const end = Math.min(now.peek(), (from + to + wanted) / 2);
    zoomTo(end - wanted, end);
  };
  return html`<div class="row">
    <${IconButton} icon="left" label="Earlier" kind="" onClick=${() => move(-0.5)} />
    <${IconButton} icon="right" label="Later" kind="" disabled=${range.isLive} onClick=${() => move(0.5)} />
    <${IconButton} icon="minus" label="Zoom out" kind="" disabled=${span >= LONGEST} onClick=${() => zoom(2)} />
    <${IconButton} icon="plus" label="Zoom in" kind="" onClick=${() => zoom(0.5)} />
    <${Segments} label="Time" value=${range.isLive ? range.span : null} choices=${SPANS} onChange=${(value) => setQuery({ span: value, from: "", to: "" })} />
    ${!range.isLive && html`<${Button} size="small" onClick=${() => setQuery({ span: 86_400, from: "", to: "" })}>Back to now</${Button}>`}
  </div>`;
}
