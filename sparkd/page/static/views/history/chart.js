/** All lanes on one axis of time. Drag over a part to zoom in. */

import { useWidth } from "../../lib/bars.js";
import { html, useMemo, useRef, useState } from "../../lib/html.js";
import { Shape } from "../../lib/icons.js";
import { link } from "../../lib/router.js";
import { State } from "../../lib/ui.js";
import { time } from "../../lib/format.js";
import { Lane, Patterns, Tip } from "./lane.js";
import { makeScale, ticksOf } from "./scale.js";
import { eventsOf, LEGEND } from "./states.js";

/** Pixels that a drag needs to be one. */
const DRAG = 6;

/** The chart of a History. `onZoom(from, to)` is called with the chosen part. */
export function LaneChart({ history, onZoom }) {
  const area = useRef(null);
  const width = useWidth(area);
  const scale = useMemo(() => makeScale(history.since, history.until, Math.max(1, width)), [history, width]);
  const events = useMemo(() => eventsOf(history), [history]);
  const brush = useBrush(area, scale, onZoom);
  return html`<div class="lanes"><${Patterns} />
    <div class="lane-row"><span /><div class="lane-area" ref=${area}>${width > 0 && html`<${Axis} scale=${scale} />`}</div></div>
    <div class="lane-rows" ...${brush.handlers}>
      ${width > 0 && events.length > 0 && html`<div class="lane-row"><span class="lane-name muted">Events</span><${EventLane} events=${events} scale=${scale} /></div>`}
      ${width > 0 && history.lanes.map(({ model, spans, in_use: inUse }) => html`<div class="lane-row" key=${model}>
        <a class="lane-name truncate" href=${link("models", model)} title=${model}>${model}</a>
        <${Lane} ...${{ model, spans, inUse, scale, onZoom }} />
      </div>`)}
      ${brush.box && html`<div class="lane-row lane-brush" aria-hidden="true"><span /><div><span style=${{ insetInlineStart: `${brush.box[0]}px`, inlineSize: `${brush.box[1] - brush.box[0]}px` }} /></div></div>`}
    </div>
    <${Legend} />
  </div>`;
}

/** The times of a scale. */
export function Axis({ scale }) {
  return html`<svg class="lane-axis" width=${scale.width} height="20" aria-hidden="true" focusable="false">
    ${ticksOf(scale).map(({ at, label, isDay }) => html`<g key=${at}>
      <line class=${isDay ? "tick-day" : "tick"} x1=${scale.x(at)} x2=${scale.x(at)} y1="14" y2="20" />
      <text class=${isDay ? "tick-day" : ""} x=${scale.x(at)} y="10" text-anchor=${anchorOf(scale.x(at), scale.width)}>${label}</text>
    </g>`)}
  </svg>`;
}

/** Labels at the ends stay inside. */
function anchorOf(x, width) {
  if (x < 20) return "start";
  return x > width - 20 ? "end" : "middle";
}

/** What happened besides changes of states: a mark for each event. */
function EventLane({ events, scale }) {
  const [current, setCurrent] = useState(null);
  const element = useRef(null);
  const chosen = Math.min(current ?? events.length - 1, events.length - 1);
  const { at, name, kind, text } = events[chosen];

  function keyDown(event) {
    const to = { ArrowLeft: chosen - 1, ArrowRight: chosen + 1, Home: 0, End: events.length - 1 }[event.key];
    if (to === undefined && event.key !== "Escape") return;
    event.preventDefault();
    setCurrent(event.key === "Escape" ? null : Math.min(events.length - 1, Math.max(0, to)));
  }

  function pointerMove(event) {
    const x = event.clientX - element.current.getBoundingClientRect().left;
    const distances = events.map((each) => Math.abs(scale.x(each.at) - x));
    const nearest = distances.indexOf(Math.min(...distances));
    setCurrent(distances[nearest] < 12 ? nearest : null);
  }

  return html`<div class="lane lane-events" ref=${element} tabindex="0" role="slider" aria-label="Events" aria-orientation="horizontal" aria-valuemin="0"
    aria-valuemax=${events.length - 1} aria-valuenow=${chosen} aria-valuetext="${time(at)}: ${name}. ${text}"
    onKeyDown=${keyDown} onFocus=${() => setCurrent(chosen)} onBlur=${() => setCurrent(null)} onPointerMove=${pointerMove} onPointerLeave=${() => setCurrent(null)}>
    ${events.map((each, index) => html`<span key=${index} class="event-mark ${each.kind} ${index === current ? "current" : ""}" style=${{ insetInlineStart: `${scale.x(each.at)}px` }}><${Shape} kind=${each.kind} /></span>`)}
    ${current !== null && html`<${Tip} x=${scale.x(at)} width=${scale.width}>
      <${State} kind=${kind}>${name}</${State}><span>${time(at)}</span>${text && html`<span class="muted">${text}</span>`}
    </${Tip}>`}
  </div>`;
}

/** What each shape and colour is. */
export function Legend() {
  return html`<ul class="legend" aria-label="States">
    ${LEGEND.map(({ shape, name, isThin, pattern }) => {
      const place = { x: 0, y: isThin ? 3 : 0, width: 22, height: isThin ? 6 : 12, rx: isThin ? 2 : 3 };
      return html`<li key=${shape}><svg width="22" height="12" aria-hidden="true"><rect class="span-${shape}" ...${place} />
        ${pattern && html`<rect fill="url(#pattern-${pattern})" ...${place} />`}</svg>${name}</li>`;
    })}
  </ul>`;
}

/** Dragging over the lanes chooses a part of the time: {box: [from, to] in pixels or null, handlers}. */
function useBrush(area, scale, onZoom) {
  const [box, setBox] = useState(null);
  const start = useRef(null);
  const place = (event) => Math.min(scale.width, Math.max(0, event.clientX - area.current.getBoundingClientRect().left));
  const handlers = {
    onPointerDown: (event) => {
      const isInside = event.clientX >= area.current.getBoundingClientRect().left;
      if (event.button === 0 && event.pointerType !== "touch" && isInside) start.current = place(event);
    },
    onPointerMove: (event) => {
      if (start.current === null) return;
      const ends = [start.current, place(event)].sort((a, b) => a - b);
      if (ends[1] - ends[0] >= DRAG) {
        event.currentTarget.setPointerCapture(event.pointerId);
        setBox(ends);
      }
    },
    onPointerUp: () => {
      if (box) onZoom(scale.time(box[0]), scale.time(box[1]));
      start.current = null;
      setBox(null);
    },
    onPointerCancel: () => {
      start.current = null;
      setBox(null);
    },
  };
  return { box, handlers };
}
