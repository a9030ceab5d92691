/** Usage: what each API key, model and program used, and what the machine did meanwhile. */

import { chartStyles } from "../lib/chart.js";
import { html } from "../lib/html.js";
import { ViewHead } from "../lib/ui.js";
import { ClientUsage } from "./usage/clients.js";
import { MachineCharts } from "./usage/machine.js";

export const styles = [...chartStyles, "usage.css"];

/** The view. `query` has the ranges and what is shown. */
export default function Usage({ query }) {
  return html`<div class="view">
    <${ViewHead} title="Usage">How much each API key, model and program uses, and what the machine does over time. Times without measurements stay empty.</${ViewHead}>
    <${ClientUsage} query=${query} />
    <${MachineCharts} query=${query} />
  </div>`;
}
