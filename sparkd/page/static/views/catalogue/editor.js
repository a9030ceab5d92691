/** The editor of one file: text, problems, help, and the way to write it. */

import { del, put } from "../../lib/api.js";
import { counted } from "../../lib/format.js";
import { html, useEffect, useId, useRef, useState } from "../../lib/html.js";
import { link } from "../../lib/router.js";
import { Button, ErrorBox, State, confirm, toast } from "../../lib/ui.js";
import { applySuggestion, useCheck } from "./check.js";
import { Code, showPlace } from "./code.js";
import { keepDraft, readDraft } from "./drafts.js";
import { Help } from "./help.js";
import { Review } from "./review.js";
import { keyAt } from "./toml.js";

/**
 * The editor. `digest` is that of `text`, null for a new file. `onWritten(name)` after it was written or deleted;
 * `onReload` loads the text again.
 */
export function Editor({ name, text: saved, digest, editable, reason, line, isNew = false, onWritten, onReload }) {
  const area = useRef(null);
  const problemsId = useId();
  const { text, base, isChanged, isStale, change, forget } = useText({ name, saved, digest, editable, isNew });
  const [caret, setCaret] = useState(0);
  const [review, setReview] = useState(null);
  const check = useCheck(name, text, editable && isChanged);
  const problems = check.result?.problems ?? [];
  useEffect(() => {
    if (line && area.current) showPlace(area.current, line);
  }, [line]);

  async function write() {
    const written = await put(`catalogue/${name}`, { text, digest: base });
    keepDraft(name, null);
    setReview(null);
    toast(`${name} is written. ${sentence(written.change)}`);
    onWritten(name);
  }

  async function remove() {
    if (await deleteFile(name, digest)) onWritten(name);
  }

  const isReady = isChanged && !check.isChecking && check.result && !problems.length;
  const ask = () => isReady && setReview(check.result);
  return html`<section class="card editor" aria-labelledby="editor-name">
    <${Head} ...${{ name, digest, check, problems, isChanged, isReady, editable, isNew, onForget: forget, onRemove: remove, onAsk: ask }} />
    ${reason && html`<p class="note editor-note">${reason}</p>`}
    ${isStale && html`<div class="card-body"><${Stale} onForget=${() => (forget(), onReload?.())} /></div>`}
    ${check.error && html`<div class="card-body"><${ErrorBox} title="The text could not be checked" error=${check.error} /></div>`}
    <${Code} area=${area} label="Text of ${name}" text=${text} problems=${problems} readOnly=${!editable} describedBy=${problemsId}
      onInput=${change} onCaret=${setCaret} onSave=${ask} />
    <${Problems} id=${problemsId} name=${name} problems=${problems} onShow=${(each) => showPlace(area.current, each.line, each.column ?? 1)}
      onFix=${(each) => change(applySuggestion(text, each))} text=${text} />
    <${Notes} notes=${check.result?.notes ?? []} />
    <${Help} place=${keyAt(text, caret)} />
    ${review && html`<${Review} name=${name} result=${review} onClose=${() => setReview(null)} onWrite=${write} />`}
  </section>`;
}

/** The text as it is edited: {text, base, isChanged, isStale, change, forget}. `base` is the digest that it began from. */
function useText({ name, saved, digest, editable, isNew }) {
  const [draft, setDraft] = useState(() => (editable ? readDraft(name) : null));
  // Once the written text has come back, or an undo has removed the draft, the file is shown as it is.
  useEffect(() => {
    if (!isNew) setDraft(editable ? readDraft(name) : null);
  }, [saved, digest]);
  const base = draft ? draft.digest : digest;

  function keep(next) {
    setDraft(next);
    keepDraft(name, next);
  }

  return {
    text: draft?.text ?? saved,
    base,
    isChanged: isNew || (draft !== null && draft.text !== saved),
    isStale: base !== digest,
    change: (next) => keep(next === saved && !isNew ? null : { text: next, digest: base }),
    forget: () => keep(null),
  };
}

function Head({ name, digest, check, problems, isChanged, isReady, editable, isNew, onForget, onRemove, onAsk }) {
  return html`<header>
    <h2 id="editor-name" class="mono">${name}</h2>
    <${Verdict} ...${{ check, problems, isChanged, editable, isNew }} />
    <div class="actions row">
      ${isChanged && !isNew && html`<${Button} kind="quiet" onClick=${onForget}>Discard</${Button}>`}
      ${editable && digest && !isChanged && html`<${Button} kind="quiet" icon="trash" onClick=${onRemove}>Delete</${Button}>`}
      ${editable && html`<${Button} kind="primary" onClick=${onAsk} disabled=${!isReady} title="Ctrl+S">Review and write</${Button}>`}
    </div>
  </header>`;
}

/** Delete a file after a question; resolves to whether it was deleted. */
async function deleteFile(name, digest) {
  const content = html`<p>sparkd reloads the catalogue without it. You can undo this.</p>`;
  if (!(await confirm({ title: `Delete ${name}?`, content, action: "Delete", kind: "danger" }))) return false;
  const written = await del(`catalogue/${name}?digest=${digest}`);
  keepDraft(name, null);
  toast(`${name} is deleted. ${sentence(written.change)}`);
  location.hash = link("catalogue");
  return true;
}

function Verdict({ check, problems, isChanged, editable, isNew }) {
  if (!editable) return html`<${State} kind="idle">read only</${State}>`;
  if (!isChanged) return html`<${State} kind="ok">as written</${State}>`;
  const [kind, text] = check.isChecking || !check.result
    ? ["info", "checking"]
    : problems.length
      ? ["bad", counted(problems.length, "problem")]
      : ["ok", isNew ? "valid, new" : "valid, not written yet"];
  return html`<span aria-live="polite"><${State} kind=${kind}>${text}</${State}></span>`;
}

function Stale({ onForget }) {
  return html`<${ErrorBox} kind="warn" title="This file has changed since you began to edit it"
    error="Copy what you need from your text, then load the file again." />
    <div class="row"><${Button} size="small" onClick=${onForget}>Load it again, and discard my text</${Button}></div>`;
}

function Problems({ id, name, problems, text, onShow, onFix }) {
  if (!problems.length) return null;
  return html`<ol class="problems" id=${id} aria-label="Problems">
    ${problems.map((each, index) => html`<li key=${index}>
      <${Where} problem=${each} name=${name} onShow=${onShow} />
      <span class="problem-text">${each.message}</span>
      ${each.file === name && applySuggestion(text, each) !== null && html`<${Button} size="small" onClick=${() => onFix(each)}>Use ${each.suggestion}</${Button}>`}
    </li>`)}
  </ol>`;
}

function Where({ problem, name, onShow }) {
  const place = problem.line ? `line ${problem.line}` : "";
  if (problem.file === name && problem.line) {
    return html`<button type="button" class="button quiet small" onClick=${() => onShow(problem)}>${place}</button>`;
  }
  return problem.file && problem.file !== name
    ? html`<a class="mono" href=${link("catalogue", problem.file, { line: problem.line })}>${problem.file} ${place}</a>`
    : null;
}

function Notes({ notes }) {
  return notes.length > 0 && html`<ul class="notes note">${notes.map((note) => html`<li key=${note}>${note}</li>`)}</ul>`;
}

/** What a reload has changed, as a sentence. */
export function sentence(change) {
  const parts = [["added", change.added], ["removed", change.removed], ["changed", change.changed], ["stopping", change.restarted]]
    .filter(([, ids]) => ids.length)
    .map(([what, ids]) => `${what}: ${ids.length > 3 ? `${ids.slice(0, 3).join(", ")} and ${ids.length - 3} more` : ids.join(", ")}`);
  if (change.settings_changed) parts.push("settings changed");
  return parts.length ? `The catalogue is reloaded; ${parts.join("; ")}.` : "The catalogue is reloaded; no model changed.";
}
