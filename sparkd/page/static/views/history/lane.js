/** One lane: a row of spans that the pointer and the arrow keys move through. */

import { html, useMemo, useRef, useState } from "../../lib/html.js";
import { State } from "../../lib/ui.js";
import { visible } from "./scale.js";
import { describeSpan, reasonOf, STATES, useOf, whenOf } from "./states.js";

const HEIGHT = 24;
const TIP_WIDTH = 288;

/**
 * A lane, `inUse` is when its model was in use. `onZoom(from, to)` shows only that time. For assistive technology it is a slider whose value is one span: a lane
 * may have hundreds of them.
 */
export function Lane({ model, spans, inUse, scale, onZoom }) {
  const [current, setCurrent] = useState(null);
  const element = useRef(null);
  const shown = useMemo(() => visible(spans, scale), [spans, scale]);
  const used = useMemo(() => usePath(inUse, scale), [inUse, scale]);
  const unknown = useMemo(() => usePath(spans.flatMap((span) => span.use_unknown), scale), [spans, scale]);
  const chosen = Math.min(current ?? spans.length - 1, spans.length - 1);

  function keyDown(event) {
    const to = { ArrowLeft: chosen - 1, ArrowRight: chosen + 1, Home: 0, End: spans.length - 1 }[event.key];
    if (event.key === "Enter") onZoom(spans[chosen].began, spans[chosen].ended);
    else if (event.key === "Escape") setCurrent(null);
    else if (to === undefined) return;
    else setCurrent(Math.min(spans.length - 1, Math.max(0, to)));
    event.preventDefault();
  }

  function pointerMove(event) {
    const time = scale.time(event.clientX - element.current.getBoundingClientRect().left);
    const found = spans.findLastIndex(({ began }) => began <= time);
    setCurrent(found === -1 ? null : found);
  }

  return html`<div class="lane" ref=${element} tabindex="0" role="slider" aria-label="States of ${model}" aria-orientation="horizontal"
    aria-valuemin="0" aria-valuemax=${spans.length - 1} aria-valuenow=${chosen} aria-valuetext=${describeSpan(spans[chosen])}
    onKeyDown=${keyDown} onFocus=${() => setCurrent(chosen)} onBlur=${() => setCurrent(null)} onPointerMove=${pointerMove} onPointerLeave=${() => setCurrent(null)}>
    <svg width=${scale.width} height=${HEIGHT} aria-hidden="true" focusable="false">
      <line class="lane-base" x1="0" x2=${scale.width} y1=${HEIGHT / 2} y2=${HEIGHT / 2} />
      ${shown.map(({ index, x, width }) => html`<${SpanRect} key=${spans[index].began} state=${spans[index].state} x=${x} width=${width} isCurrent=${index === current} />`)}
      ${unknown && html`<path class="span-use-unknown" d=${unknown} /><path fill="url(#pattern-use-unknown)" d=${unknown} />`}
      ${used && html`<path class="span-in-use" d=${used} />`}
    </svg>
    ${current !== null && html`<${Tip} x=${middle(spans[chosen], scale)} width=${scale.width}>
      <${SpanTip} span=${spans[chosen]} model=${model} />
    </${Tip}>`}
  </div>`;
}

/** Times as one shape: there may be hundreds. */
function usePath(times, scale) {
  return times.map(([from, to]) => `M${scale.x(from).toFixed(1)} 2h${Math.max(1, scale.x(to) - scale.x(from)).toFixed(1)}v${HEIGHT - 4}H${scale.x(from).toFixed(1)}z`).join("");
}

const middle = (span, scale) => (scale.x(span.began) + scale.x(span.ended)) / 2;

/** Each state has a colour, and a pattern or a height of its own. */
function SpanRect({ state, x, width, isCurrent }) {
  const isThin = THIN.has(state);
  const [y, height] = isThin ? [7, HEIGHT - 14] : [2, HEIGHT - 4];
  const place = { x, y, width, height, rx: Math.min(3, width / 5) };
  return html`<g class=${isCurrent ? "span-current" : null}>
    <rect class="span-${state}" ...${place} />
    ${PATTERNS.has(state) && html`<rect fill="url(#pattern-${state})" ...${place} />`}
  </g>`;
}

const THIN = new Set(["unknown", "ready", "draining", "stopping"]);
const PATTERNS = new Set(["starting", "backoff", "unknown", "stopping"]);

/** The patterns of all lanes, once in the page. */
export function Patterns() {
  return html`<svg class="patterns" width="0" height="0" aria-hidden="true" focusable="false"><defs>
    <pattern id="pattern-starting" width="8" height="8" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect class="pattern-line" width="4" height="8" /></pattern>
    <pattern id="pattern-stopping" width="4" height="4" patternUnits="userSpaceOnUse"><rect class="pattern-line" width="2" height="4" /></pattern>
    <pattern id="pattern-backoff" width="6" height="6" patternUnits="userSpaceOnUse"><path class="pattern-cross" d="M0 0 6 6M6 0 0 6" /></pattern>
    <pattern id="pattern-use-unknown" width="5" height="5" patternUnits="userSpaceOnUse"><circle class="pattern-line" cx="2.5" cy="2.5" r="1.4" /></pattern>
    <pattern id="pattern-unknown" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(-45)"><rect class="pattern-unknown" width="1.5" height="6" /></pattern>
  </defs></svg>`;
}

/** A box below a place of a lane, within the width of the lane. */
export function Tip({ x, width, children }) {
  const left = Math.min(Math.max(0, x - TIP_WIDTH / 2), Math.max(0, width - TIP_WIDTH));
  return html`<div class="lane-tip" style=${{ insetInlineStart: `${left}px` }} aria-hidden="true">${children}</div>`;
}

function SpanTip({ span, model }) {
  const { name, kind } = STATES[span.state] ?? { name: span.state, kind: "idle" };
  const reason = reasonOf(span);
  const use = useOf(span);
  return html`<span class="row"><strong>${model}</strong><${State} kind=${kind}>${name}</${State}></span>
    <span>${whenOf(span)}</span>${use && html`<span>${use}</span>`}${reason && html`<span class="muted">${reason}</span>`}`;
}
