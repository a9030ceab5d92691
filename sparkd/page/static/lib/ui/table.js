/** Tables that sort, and that render only the visible rows if there are many. */

import { html, useLayoutEffect, useMemo, useRef, useState } from "../html.js";

const VIRTUAL_FROM = 200;
/** Pixels of a row until rows have been measured. */
const ROW_HEIGHT = 41;
const EXTRA_ROWS = 12;

/**
 * A table. `columns` are {id, name, cell(row), value?(row), number?, header?, class?}: `value` makes the column sortable.
 * `rowKey(row)` identifies a row; `sort` is [id, "ascending" | "descending"]; with `onSort` the rows are sorted by the
 * caller. `rowProps(row)` gives further attributes of a row.
 *
 * @param {{caption: string, columns: any[], rows: any[], rowKey: (row: any) => string | number, sort?: any, onSort?: any,
 *   rowProps?: (row: any) => object, empty?: any}} props
 */
export function Table({ caption, columns, rows, rowKey, sort, onSort, rowProps = () => ({}), empty = null }) {
  const [own, setOwn] = useState(/** @type {any} */ (sort ?? null));
  const current = onSort ? sort : own;
  /** @type {any[]} */
  const sorted = useMemo(() => (onSort ? rows : sortRows(rows, columns, current)), [rows, current, onSort, columns]);
  const isVirtual = sorted.length > VIRTUAL_FROM;
  if (!sorted.length && empty) return empty;

  return html`<${Scroller} isVirtual=${isVirtual} count=${sorted.length} label=${caption}>
    ${([first, last], rowHeight) => html`<table class="stacking ${columns.some(({ value }) => value) ? "sortable" : ""}" aria-rowcount=${sorted.length + 1}>
      <caption class="visually-hidden">${caption}</caption>
      <thead><tr>${columns.map((column) => html`<${Head} key=${column.id} ...${{ column, current, onSort: onSort ?? setOwn }} />`)}</tr></thead>
      <tbody>
        <${Spacer} height=${first * rowHeight} columns=${columns.length} />
        ${sorted.slice(first, last).map((row, index) => html`<tr key=${rowKey(row)} aria-rowindex=${first + index + 2} ...${rowProps(row)}>
          ${columns.map((column) => html`<${Cell} key=${column.id} ...${{ column, row }} />`)}
        </tr>`)}
        <${Spacer} height=${(sorted.length - last) * rowHeight} columns=${columns.length} />
      </tbody>
    </table>`}
  </${Scroller}>`;
}

function Head({ column, current, onSort }) {
  const isSorted = current?.[0] === column.id;
  const next = isSorted && current[1] === "descending" ? "ascending" : "descending";
  return html`<th scope="col" class=${column.number ? "number" : ""} aria-sort=${isSorted ? current[1] : null}>
    ${column.value
      ? html`<button type="button" class="sort" onClick=${() => onSort([column.id, next])}>${column.name}</button>`
      : html`<span class=${column.hideName ? "visually-hidden" : ""}>${column.name}</span>`}
  </th>`;
}

function Cell({ column, row }) {
  const name = `${column.number ? "number" : ""} ${column.class ?? ""}`;
  return column.header
    ? html`<th scope="row" class=${name}>${column.cell(row)}</th>`
    : html`<td class=${name} data-name=${column.hideName ? null : column.name}>${column.cell(row)}</td>`;
}

function Spacer({ height, columns }) {
  return height > 0 && html`<tr class="spacer" aria-hidden="true"><td colspan=${columns} style=${{ height: `${height}px` }} /></tr>`;
}

function Scroller({ isVirtual, count, label, children }) {
  const element = useRef(null);
  const [top, setTop] = useState(0);
  const [rowHeight, setRowHeight] = useState(ROW_HEIGHT);
  const height = element.current?.clientHeight || 800;
  const first = isVirtual ? Math.max(0, Math.floor(top / rowHeight) - EXTRA_ROWS) : 0;
  const last = isVirtual ? Math.min(count, Math.ceil((top + height) / rowHeight) + EXTRA_ROWS) : count;
  // Rows are higher where their cells are stacked. Less than a pixel of difference would render again and again.
  useLayoutEffect(() => {
    const measured = isVirtual && meanHeight(element.current.querySelectorAll("tbody tr:not(.spacer)"));
    if (measured && Math.abs(measured - rowHeight) > 1) setRowHeight(measured);
  }, [isVirtual, count]);
  const onScroll = isVirtual ? (event) => setTop(event.target.scrollTop) : null;
  // Focusable, so that the keyboard can scroll it.
  return html`<div class="table-wrap ${isVirtual ? "virtual" : ""}" ref=${element} onScroll=${onScroll} tabindex="0" role="region" aria-label=${label}>
    ${children([first, last], rowHeight)}
  </div>`;
}

/** The mean height of these rows in pixels; 0 without rows. */
function meanHeight(rows) {
  let sum = 0;
  for (const row of rows) sum += row.offsetHeight;
  return rows.length && sum / rows.length;
}

function sortRows(rows, columns, sort) {
  const column = sort && columns.find((each) => each.id === sort[0]);
  if (!column?.value) return rows;
  const sign = sort[1] === "descending" ? -1 : 1;
  return [...rows].sort((a, b) => compare(column.value(a), column.value(b), sign));
}

/** Unknown values come last in both directions. */
function compare(a, b, sign) {
  const isMissing = [a, b].map((value) => value === null || value === undefined);
  if (isMissing[0] || isMissing[1]) return Number(isMissing[0]) - Number(isMissing[1]);
  return sign * (typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b);
}
