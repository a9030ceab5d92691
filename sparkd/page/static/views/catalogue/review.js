/** What would change, before it is written. */

import { counted } from "../../lib/format.js";
import { html, useState } from "../../lib/html.js";
import { Button, Dialog, ErrorBox, Facts } from "../../lib/ui.js";

/** The dialog: the changed lines, what a reload does, and the button that writes. */
export function Review({ name, result, onClose, onWrite }) {
  const [error, setError] = useState(null);
  const { plan, diff } = result;
  const write = () => onWrite().catch(setError);
  const actions = html`<${Button} onClick=${onClose}>Cancel</${Button}>
    <${Button} kind="primary" busyText="Writing…" onClick=${write} autofocus>Write and reload</${Button}>`;
  return html`<${Dialog} title="Write ${name}?" class="wide" onClose=${onClose} actions=${actions}>
    ${error && html`<${ErrorBox} title="Nothing was written" error=${error} />`}
    ${plan.stopped.length > 0 && html`<${ErrorBox} kind="warn" title="${counted(plan.stopped.length, "loaded model")} will stop"
      error="${plan.stopped.join(", ")}: the next request loads it again. Responses finish first." />`}
    <${Facts} facts=${describe(plan.change)} />
    <${Diff} lines=${diff} />
    <p class="note">The old text is kept: you can undo this.</p>
  </${Dialog}>`;
}

/** Changed lines in the unified format. */
export function Diff({ lines }) {
  if (!lines.length) return html`<p class="note">The text is the same.</p>`;
  return html`<pre class="diff" tabindex="0" role="region" aria-label="Changed lines">${lines.slice(lines[0].startsWith("---") ? 2 : 0).map((line, index) => html`<span key=${index} class=${kindOf(line)}>${line || " "}${"\n"}</span>`)}</pre>`;
}

function kindOf(line) {
  return { "+": "added", "-": "removed", "@": "place" }[line[0]] ?? "";
}

/** What a reload changes, as names and values. */
function describe(change) {
  const list = (ids) => (ids.length ? ids.join(", ") : undefined);
  const stay = change.changed.filter((id) => !change.restarted.includes(id));
  const facts = [
    ["Adds", list(change.added)],
    ["Removes", list(change.removed)],
    ["Changes", list(stay)],
    ["Starts differently", list(change.restarted)],
    ["Settings", change.settings_changed ? "changed" : undefined],
  ];
  return facts.some(([, value]) => value) ? facts : [["A reload", "changes no model and no setting"]];
}
