/** Doctor: what sparkd finds wrong with its catalogue, itself and the machine, and how to solve it. */

import { get } from "../lib/api.js";
import { counted, duration } from "../lib/format.js";
import { html, useState } from "../lib/html.js";
import { Button, Card, Copy, Empty, ErrorBox, Loading, Prose, State, Time, ViewHead, useLoad } from "../lib/ui.js";

export const styles = ["doctor.css"];

const LEVELS = {
  error: { title: "Errors", kind: "bad", noun: "error" },
  warning: { title: "Warnings", kind: "warn", noun: "warning" },
  ok: { title: "In order", kind: "ok", noun: "check" },
};

/** The view. */
export default function Doctor() {
  const [turn, setTurn] = useState(0);
  const { data, error, isLoading } = useLoad((signal) => get("doctor", { fresh: turn ? 1 : null }, { signal }), [turn]);
  const again = () => setTurn((n) => n + 1);
  const actions = html`<${Button} icon="retry" onClick=${again} disabled=${isLoading}>${isLoading ? "Checking…" : "Check again"}</${Button}>`;
  return html`<div class="view">
    <${ViewHead} title="Doctor" actions=${actions}>
      Checks the catalogue, sparkd and the machine, and suggests a fix for each problem. In a terminal: <code>sparkctl doctor</code>.
    </${ViewHead}>
    ${error && html`<${ErrorBox} title="The checks did not finish" error=${error} onRetry=${again} />`}
    ${!data && !error && html`<div class="card"><${Loading} what="the findings; this takes some seconds" /></div>`}
    ${data && html`<${Summary} diagnosis=${data} /><${Findings} findings=${data.findings} />`}
  </div>`;
}

function Summary({ diagnosis }) {
  const counts = Object.entries(LEVELS).map(([level, { kind, noun }]) => [kind, noun, diagnosis.findings.filter((each) => each.level === level).length]);
  return html`<div class="row doctor-summary" role="status">
    ${counts.map(([kind, noun, n]) => (n > 0 || kind === "ok") && html`<${State} key=${kind} kind=${kind}>${kind === "ok" ? `${n} in order` : counted(n, noun)}</${State}>`)}
    <span class="note">Checked <${Time} at=${diagnosis.at} relative />, in ${duration(diagnosis.seconds)}</span>
  </div>`;
}

function Findings({ findings }) {
  const groups = Object.entries(LEVELS).map(([level, about]) => [about, findings.filter((each) => each.level === level)]);
  const isFine = !findings.some((each) => each.level !== "ok");
  return html`${isFine && html`<div class="card"><${Empty} title="No problems found">Everything that sparkd can check is in order.</${Empty}></div>`}
    ${groups.map(([about, found]) => found.length > 0 && html`<${Group} key=${about.title} about=${about} found=${found} />`)}`;
}

/** The advice. A single command at its end is not repeated: it is shown below, to be copied. */
function withoutCommand({ advice, commands: [command, ...more] }) {
  const end = `\`${command}\``;
  return !more.length && advice.endsWith(end) ? `${advice.slice(0, -end.length).trimEnd()}:` : advice;
}

function Group({ about, found }) {
  return html`<${Card} title=${about.title} note=${String(found.length)} flush>
    <ul class="findings">
      ${found.map((each, index) => html`<li key=${index} class=${about.kind}>
        <${State} kind=${about.kind}>${each.topic}</${State}>
        <div class="finding-text">
          <p><${Prose} text=${each.text} /></p>
          ${each.advice && html`<p class="note"><${Prose} text=${withoutCommand(each)} /></p>`}
          ${each.commands.map((command) => html`<div key=${command} class="command"><code>${command}</code><${Copy} text=${command} /></div>`)}
        </div>
      </li>`)}
    </ul>
  </${Card}>`;
}
