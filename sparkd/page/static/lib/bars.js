/** Stacked bars: one for each day or month, one part for each group. The values are also in a table beside them. */

import { html, useEffect, useId, useRef, useState } from "./html.js";

const HEIGHT = 200;
const TOP = 10;
const FOOT = 22;
const LEFT = 68;
const MAX_BAR = 44;
const LABEL_SPACE = 64;

/**
 * `labels` are the names below the bars, `groups` are {name, values, series} from the bottom to the top, where `series` is
 * 1 to 8 or "other"; `format` turns a value into text. The bar at the pointer, or chosen with the arrow keys, is described.
 */
export function Bars({ title, labels, groups, format, longLabels = labels }) {
  const place = useRef(null);
  const width = useWidth(place);
  const [current, setCurrent] = useState(null);
  const id = useId();
  const totals = labels.map((_, index) => groups.reduce((sum, { values }) => sum + (values[index] ?? 0), 0));
  const chosen = current ?? totals.length - 1;

  function move(event) {
    const to = { ArrowLeft: chosen - 1, ArrowRight: chosen + 1, Home: 0, End: labels.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    setCurrent(Math.min(labels.length - 1, Math.max(0, to)));
  }

  return html`<div class="bars">
    <div class="bars-plot" ref=${place} tabindex="0" role="slider" aria-label=${title} aria-orientation="horizontal" aria-valuemin="0"
      aria-valuemax=${Math.max(0, labels.length - 1)} aria-valuenow=${chosen} aria-valuetext=${`${longLabels[chosen]}: ${format(totals[chosen])}`}
      onKeyDown=${move} onPointerLeave=${() => setCurrent(null)}>
      ${width > LEFT && html`<${Drawing} ...${{ labels, groups, totals, format, width, current, setCurrent }} />`}
    </div>
    <ul class="legend" id=${id}>
      <li><strong>${longLabels[chosen]}</strong></li><li>${format(totals[chosen])}</li>
      ${[...groups].reverse().filter(({ values }) => values[chosen]).map(
        ({ name, series, values }) => html`<li key=${name}><svg width="10" height="10" aria-hidden="true"><rect width="10" height="10" rx="2" class="series-${series}" /></svg>
          <span class="muted">${name}</span> ${format(values[chosen])}</li>`,
      )}
    </ul>
  </div>`;
}

function Drawing({ labels, groups, totals, format, width, current, setCurrent }) {
  const top = niceMaximum(Math.max(...totals, 0));
  const inner = HEIGHT - TOP - FOOT;
  const slot = (width - LEFT) / labels.length;
  const bar = Math.min(MAX_BAR, Math.max(1, slot * 0.72));
  const every = Math.ceil(LABEL_SPACE / slot);
  const y = (value) => TOP + inner * (1 - value / top);
  return html`<svg width=${width} height=${HEIGHT} aria-hidden="true" focusable="false">
    ${[0, 0.5, 1].map((share) => html`<g key=${share}><line class="bars-grid" x1=${LEFT} x2=${width} y1=${y(top * share)} y2=${y(top * share)} />
      <text class="bars-axis" x=${LEFT - 8} y=${y(top * share) + 4} text-anchor="end">${format(top * share)}</text></g>`)}
    ${labels.map((label, index) => {
      const x = LEFT + slot * index;
      return html`<g key=${index}>
        <rect class="bars-hit ${index === current ? "current" : ""}" x=${x} y=${TOP} width=${slot} height=${inner} onPointerEnter=${() => setCurrent(index)} />
        ${stack(groups, index).map(({ name, series, from, to }) => html`<rect key=${name} class="series-${series}" pointer-events="none" x=${x + (slot - bar) / 2}
          y=${y(to)} width=${bar} height=${Math.max(0, y(from) - y(to) - (from ? 1 : 0))} />`)}
        ${(labels.length - 1 - index) % every === 0 && html`<text class="bars-axis" x=${x + slot / 2} y=${HEIGHT - 6} text-anchor="middle">${label}</text>`}
      </g>`;
    })}
  </svg>`;
}

/** Where the parts of one bar begin and end. */
function stack(groups, index) {
  let sum = 0;
  return groups
    .filter(({ values }) => values[index])
    .map(({ name, series, values }) => ({ name, series, from: sum, to: (sum += values[index]) }));
}

/** A round number that is not below `value`. */
export function niceMaximum(value) {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].map((each) => each * power).find((each) => each >= value * 0.999);
}

/** The width of an element in pixels, 0 until it is known. */
export function useWidth(element) {
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry.contentRect.width)));
    observer.observe(element.current);
    return () => observer.disconnect();
  }, []);
  return width;
}
