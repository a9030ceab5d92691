/** Now: what the machine does at this moment. */

import { html } from "../lib/html.js";
import { connection, machine } from "../lib/live.js";
import { Empty, Loading, ViewHead } from "../lib/ui.js";
import { Announcer } from "./now/announcer.js";
import { NowFigures } from "./now/figures.js";
import { Finished } from "./now/finished.js";
import { Loads } from "./now/loads.js";
import { MemoryCard } from "./now/memory.js";
import { QueueCard } from "./now/queue.js";
import { InFlightCard } from "./now/requests.js";

export const styles = ["now.css"];

export default function Now() {
  return html`<div class="view now">
    <${ViewHead} title="Now" />
    ${machine.value ? html`<${Sections} />` : html`<${Waiting} />`}
  </div>`;
}

function Sections() {
  return html`<${Announcer} /><${NowFigures} /><${MemoryCard} /><${Loads} /><${QueueCard} /><${InFlightCard} /><${Finished} />`;
}

function Waiting() {
  if (connection.value === "connecting") return html`<${Loading} />`;
  return html`<${Empty} title="Nothing is known about this machine">The page shows it as soon as sparkd answers.</${Empty}>`;
}
