/** The last edits, each with its changed lines and a button that undoes it. */

import { get, post } from "../../lib/api.js";
import { html, useState } from "../../lib/html.js";
import { Button, Card, Dialog, ErrorBox, Loading, Time, toast, useLoad } from "../../lib/ui.js";
import { keepDraft } from "./drafts.js";
import { sentence } from "./editor.js";
import { Diff } from "./review.js";

/** The list. `onChange` is called after an undo. */
export function Edits({ overview, onChange }) {
  const [open, setOpen] = useState(null);
  if (!overview.edits.length) return null;

  async function toggle(edit) {
    const written = await post("catalogue/undo", { edit: edit.id });
    keepDraft(edit.file, null);
    toast(`${edit.undone ? "Made again" : "Undone"}: edit of ${edit.file}. ${sentence(written.change)}`);
    onChange();
  }

  return html`<${Card} title="Last edits" flush>
    <ul class="edit-list">
      ${overview.edits.map((edit) => html`<li key=${edit.id}>
        <div>
          <button type="button" class="link" onClick=${() => setOpen(edit)}>${edit.file.replace("models.d/", "")}</button>
          <div class="note"><${Time} at=${edit.at} relative /> · ${edit.kind} <span class="nowrap">+${edit.added} −${edit.removed}</span>${edit.undone ? " · undone" : ""}</div>
        </div>
        ${overview.may_edit && html`<${Toggle} edit=${edit} onToggle=${toggle} />`}
      </li>`)}
    </ul>
    ${open && html`<${Details} edit=${open} onClose=${() => setOpen(null)} />`}
  </${Card}>`;
}

function Toggle({ edit, onToggle }) {
  if (!edit.can_undo && !edit.can_redo) return html`<span class="note" title="The file has changed since">superseded</span>`;
  return html`<${Button} size="small" icon=${edit.can_undo ? "undo" : "retry"} onClick=${() => onToggle(edit)}
    aria-label="${edit.can_undo ? "Undo" : "Make again"}: edit ${edit.id} of ${edit.file}">${edit.can_undo ? "Undo" : "Redo"}</${Button}>`;
}

function Details({ edit, onClose }) {
  const { data, error } = useLoad((signal) => get(`catalogue/edits/${edit.id}`, {}, { signal }), [edit.id]);
  return html`<${Dialog} title="Edit ${edit.id}: ${edit.file}" class="wide" onClose=${onClose}>
    ${error ? html`<${ErrorBox} error=${error} />` : data ? html`<${Diff} lines=${data.diff} />` : html`<${Loading} />`}
  </${Dialog}>`;
}
