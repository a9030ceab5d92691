/** Catalogue: its files, and an editor for drop-ins that is checked by sparkd's own reader. */

import { get } from "../lib/api.js";
import { html, useState } from "../lib/html.js";
import { whyNot } from "../lib/rights.js";
import { go, link } from "../lib/router.js";
import { Empty, ErrorBox, Loading, ViewHead, useLoad } from "../lib/ui.js";
import { Editor } from "./catalogue/editor.js";
import { Edits } from "./catalogue/edits.js";
import { Files, NewFile } from "./catalogue/files.js";

export const styles = ["catalogue.css"];

/** The view. `rest` names the file; `query.line` is where to begin, `query.new` and `query.override` start a file. */
export default function Catalogue({ rest, query }) {
  const [isNew, setNew] = useState(false);
  const { data, error, reload } = useLoad((signal) => get("catalogue", {}, { signal }), []);
  if (error && !data) return html`<${Frame}><${ErrorBox} title="The catalogue cannot be loaded" error=${error} onRetry=${reload} /></${Frame}>`;
  if (!data) return html`<${Frame}><${Loading} what="the catalogue" /></${Frame}>`;
  const onNew = data.may_edit ? () => setNew(true) : null;
  return html`<${Frame} onNew=${onNew}>
    ${!data.may_edit && html`<${ErrorBox} kind="info" error=${`Secrets are hidden, and nothing can be changed here. ${whyNot}`} />`}
    <div class="catalogue">
      <div class="catalogue-side">
        <${Files} overview=${data} current=${rest} isStart=${Boolean(query.new || query.override)} />
        <${Edits} overview=${data} onChange=${reload} />
      </div>
      <${Chosen} overview=${data} name=${rest} query=${query} onChange=${reload} />
    </div>
    ${isNew && html`<${NewFile} onClose=${() => setNew(false)} />`}
  </${Frame}>`;
}

function Frame({ onNew = null, children }) {
  const actions = onNew && html`<button type="button" class="button" onClick=${onNew}>New file</button>`;
  return html`<div class="view">
    <${ViewHead} title="Catalogue" actions=${actions}>
      Models and settings. Change them in a drop-in: sparkd checks it as you type, and nothing is written before you see the plan.
    </${ViewHead}>
    ${children}
  </div>`;
}

/** The file that the address names, or a new one. */
function Chosen({ overview, name, query, onChange }) {
  if (query.override) return html`<${Started} key=${`override ${query.override}`} path="catalogue/starts" query=${{ override: query.override }} ...${{ overview, onChange }} />`;
  if (query.new) return html`<${Started} key=${`new ${query.new}`} path="catalogue/starts" id=${query.new} ...${{ overview, onChange }} />`;
  const first = overview.files.find((file) => file.editable) ?? overview.files[0];
  const file = name ? overview.files.find((each) => each.name === name) : first;
  if (!file) {
    return html`<div class="card"><${Empty} title="The catalogue has no such file"><a href=${link("catalogue")}>Show the files</a></${Empty}></div>`;
  }
  return html`<${Existing} key=${file.name} file=${file} line=${Number(query.line) || null} onChange=${onChange} />`;
}

function Existing({ file, line, onChange }) {
  const { data, error, reload } = useLoad((signal) => get(`catalogue/${file.name}`, {}, { signal }), [file.digest]);
  if (error) return html`<div class="card"><div class="card-body"><${ErrorBox} title="The file cannot be loaded" error=${error} onRetry=${reload} /></div></div>`;
  if (!data) return html`<div class="card"><${Loading} what=${file.name} /></div>`;
  return html`<${Editor} name=${data.name} text=${data.text} digest=${data.digest} editable=${data.editable}
    reason=${data.reason} line=${line} onWritten=${onChange} onReload=${reload} />`;
}

/** A new file, from a text to start with. */
function Started({ path, query, id, overview, onChange }) {
  const { data, error, reload } = useLoad((signal) => get(path, query ?? {}, { signal }), []);
  if (error) return html`<div class="card"><div class="card-body"><${ErrorBox} title="This cannot be started" error=${error} onRetry=${reload} /></div></div>`;
  if (!data) return html`<div class="card"><${Loading} /></div>`;
  const start = Array.isArray(data) ? (data.find((each) => each.id === id) ?? { file: id, text: "" }) : data;
  const written = (name) => {
    onChange();
    go(link("catalogue", name), { replace: true });
  };
  const taken = overview.files.some((file) => file.name === start.file);
  return taken
    ? html`<div class="card"><${Empty} title="This file exists"><a href=${link("catalogue", start.file)}>Open ${start.file}</a></${Empty}></div>`
    : html`<${Editor} name=${start.file} text=${start.text} digest=${null} editable=${overview.may_edit} onWritten=${written} isNew />`;
}
