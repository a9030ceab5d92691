/** Points in time and durations that count by themselves. */

import { ago, duration, time } from "../format.js";
import { html } from "../html.js";
import { since } from "../live.js";

/** A point in time, in seconds since the epoch. `relative`: how long ago. */
export function Time({ at, relative = false }) {
  if (at === null || at === undefined) return html`<span class="unknown">unknown</span>`;
  const exact = new Date(at * 1000);
  return html`<time datetime=${exact.toISOString()} title=${exact.toLocaleString("en-GB")}>${relative ? ago(since(at)) : time(at)}</time>`;
}

/** The time since a point in time, counted every second. */
export function Elapsed({ from }) {
  return html`<span class="nowrap">${duration(since(from))}</span>`;
}
