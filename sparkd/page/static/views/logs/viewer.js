/** Lines of a log, of which only the visible ones are in the document. */

import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../../lib/html.js";
import { parseAnsi } from "./ansi.js";
import { markMatches } from "./search.js";

const LINE = 18;
const EXTRA = 30;
const NEAR_END = 24;
const SHORT = { debug: "DEBUG", info: "INFO", warning: "WARN", error: "ERROR" };
/** Characters at the left of sparkd's own lines: their time and level. */
const HEAD = 22;
/** Characters of a line from which there is room for them. */
const NARROW = 70;

/**
 * The viewer. `target` is the number of the line to show, as {line}; `follows`: stay at the end; `onFollow(whether)` is called
 * when the user scrolls away from the end, or back.
 */
export function LogViewer({ label, lines, wrap, expression, current, target, follows, onFollow }) {
  const place = useRef(null);
  const [view, setView] = useState({ top: 0, height: 600, columns: 120 });
  const offsets = useMemo(() => measure(lines, wrap ? view.columns : 0), [lines, wrap, view.columns]);
  useResize(place, setView);

  const scroll = () => {
    const { scrollTop, scrollHeight, clientHeight } = place.current;
    setView((old) => ({ ...old, top: scrollTop }));
    onFollow(scrollHeight - scrollTop - clientHeight < NEAR_END);
  };
  useLayoutEffect(() => {
    if (follows) place.current.scrollTop = place.current.scrollHeight;
  }, [lines, offsets, follows]);
  useLayoutEffect(() => {
    if (target) place.current.scrollTop = Math.max(0, offsets[target.line] * LINE - view.height / 3);
  }, [target]);

  const first = Math.max(0, findLine(offsets, view.top / LINE) - EXTRA);
  const last = Math.min(lines.length, findLine(offsets, (view.top + view.height) / LINE) + EXTRA);
  return html`<div class="log-view ${wrap ? "wrap" : ""} ${view.columns < NARROW ? "narrow" : ""}" ref=${place} onScroll=${scroll} tabindex="0" role="log" aria-live="off" aria-label=${label}>
    <div style=${{ height: `${offsets[first] * LINE}px` }} />
    ${lines.slice(first, last).map((line, index) => html`<${Line} key=${first + index} line=${line} expression=${expression} isCurrent=${first + index === current} />`)}
    <div style=${{ height: `${(offsets[lines.length] - offsets[last]) * LINE}px` }} />
  </div>`;
}

/** Width in characters and height of the place, also after it has changed. */
function useResize(place, setView) {
  useEffect(() => {
    const probe = document.createElement("span");
    probe.className = "log-probe";
    probe.textContent = "0".repeat(100);
    place.current.append(probe);
    const width = probe.getBoundingClientRect().width / 100;
    probe.remove();
    const observer = new ResizeObserver(([entry]) => {
      const { width: inner, height } = entry.contentRect;
      setView((old) => ({ ...old, height, columns: Math.max(10, Math.floor(inner / width)) }));
    });
    observer.observe(place.current);
    return () => observer.disconnect();
  }, []);
}

/** The number of rows above each line, and of all rows. Without columns, a line is one row. */
function measure(lines, columns) {
  const offsets = new Float64Array(lines.length + 1);
  for (let index = 0; index < lines.length; index += 1) {
    const { plain, isOwn, head } = lines[index];
    const isBeside = isOwn && columns >= NARROW;
    const room = Math.max(10, columns - (isBeside ? HEAD : 0));
    const length = plain.length + (isOwn && !isBeside && head ? head.length + 1 : 0);
    offsets[index + 1] = offsets[index] + (columns ? Math.max(1, Math.ceil(length / room)) : 1);
  }
  return offsets;
}

/** The line at a row. */
function findLine(offsets, row) {
  let low = 0;
  let high = offsets.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (offsets[middle] <= row) low = middle;
    else high = middle - 1;
  }
  return low;
}

function Line({ line, expression, isCurrent }) {
  return useMemo(() => {
    const pieces = markMatches(parseAnsi(line.text), line.plain, expression);
    return html`<div class="log-line ${line.level} ${line.isOwn ? "own" : ""} ${isCurrent ? "current" : ""}">
      ${line.isOwn && html`<span class="log-head">${line.head}</span><span class="log-level">${line.head ? SHORT[line.level] : ""}</span>`}
      <span class="log-text">${pieces.map(([text, name, isMatch]) => (isMatch ? html`<mark class=${name}>${text}</mark>` : name ? html`<span class=${name}>${text}</span>` : text))}</span>
    </div>`;
  }, [line, expression, isCurrent]);
}
