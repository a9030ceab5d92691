/** What measurements add up to on a day: energy, and the highest speed. */

import { day, duration, energy, speed } from "../../lib/format.js";
import { html } from "../../lib/html.js";
import { Figure, Value } from "../../lib/ui.js";
import { shortLabel } from "./report.js";

/** The energy that the GPU used since a day. `days` are those of GET /measurements/days, null until they are loaded. */
export function EnergyFigure({ days, since }) {
  const known = inRange(days, since).filter((each) => each.energy !== null);
  const seconds = known.reduce((sum, each) => sum + each.energy_seconds, 0);
  const joules = known.length ? known.reduce((sum, each) => sum + each.energy, 0) : null;
  const note = known.length ? `measured for ${duration(seconds)}${known[0].day > since ? `, since ${shortLabel(known[0].day)}` : ""}` : "the GPU's power is not known";
  return html`<${Figure} name="Energy of the GPU" value=${html`<${Value} text=${energy(joules)} />`} note=${note} />`;
}

/** The highest number of tokens per second since a day. */
export function PeakFigure({ days, since }) {
  const peak = inRange(days, since)
    .filter((each) => each.peak_out !== null)
    .reduce((best, each) => (best && best.peak_out >= each.peak_out ? best : each), null);
  const note = peak?.peak_out ? `over 5 seconds, on ${shortLabel(day(peak.peak_at))}` : "over 5 seconds";
  return html`<${Figure} name="Highest speed" value=${html`<${Value} text=${speed(peak?.peak_out)} />`} note=${note} />`;
}

const inRange = (days, since) => (days ?? []).filter((each) => each.day >= since);
