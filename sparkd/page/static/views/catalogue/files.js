/** The list of files, and the dialog for a new one. */

import { get } from "../../lib/api.js";
import { bytes, counted } from "../../lib/format.js";
import { html, useState } from "../../lib/html.js";
import { go, link } from "../../lib/router.js";
import { Button, Card, Dialog, ErrorBox, Loading, TextField, useLoad } from "../../lib/ui.js";
import { hasDraft } from "./drafts.js";

const KINDS = {
  models: ["model", "models"],
  changes: ["change", "changes"],
  families: ["family", "families"],
  runtimes: ["runtime", "runtimes"],
  keys: ["key", "keys"],
  clients: ["client", "clients"],
  choices: ["choice", "choices"],
};

/** The files, as links. */
export function Files({ overview, current, isStart }) {
  const first = overview.files.find((file) => file.editable) ?? overview.files[0];
  const shown = current || (isStart ? "" : first?.name);
  return html`<${Card} title="Files" note=${counted(overview.files.length, "file")} flush>
    <nav aria-label="Files of the catalogue"><ul class="file-list">
      ${overview.files.map((file) => html`<li key=${file.name}><${File} file=${file} isCurrent=${file.name === shown} /></li>`)}
    </ul></nav>
    <p class="note file-folder">Later files override earlier ones. New files go to <code>${overview.folder}</code>.</p>
  </${Card}>`;
}

function File({ file, isCurrent }) {
  const label = file.digest === null ? "cannot be read" : file.editable ? "" : "read only";
  return html`<a href=${link("catalogue", file.name)} aria-current=${isCurrent ? "page" : null} title=${file.path}>
    <span class="file-name">${file.name.replace("models.d/", "")}${hasDraft(file.name) && html` <span class="tag">draft</span>`}${label && html` <span class="tag">${label}</span>`}</span>
    <span class="note">${describe(file)}</span>
  </a>`;
}

function describe(file) {
  const defined = Object.entries(file.defines).map(([kind, names]) => counted(names.length, ...KINDS[kind]));
  const parts = [...defined, ...file.settings.map((name) => `[${name}]`)];
  const shown = parts.length > 4 ? [...parts.slice(0, 3), `${parts.length - 3} more`] : parts;
  return shown.join(", ") || (file.size ? `no values, ${bytes(file.size)}` : "empty");
}

/** The dialog that asks what the new file is for. */
export function NewFile({ onClose }) {
  const { data, error } = useLoad((signal) => get("catalogue/starts", {}, { signal }), []);
  const [name, setName] = useState("");
  const open = (query) => {
    onClose();
    go(link("catalogue", "", query));
  };
  const isValid = /^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name);
  const file = `models.d/${name.replace(/\.toml$/, "")}.toml`;
  return html`<${Dialog} title="New file" onClose=${onClose}>
    ${error && html`<${ErrorBox} error=${error} />`}
    ${!data && !error && html`<${Loading} />`}
    ${data && html`<div class="start-list">
      ${data.map((start) => html`<${Button} key=${start.id} onClick=${() => open({ new: start.id })}>
        <span><strong>${start.title}</strong><span class="note mono">${start.file}</span></span>
      </${Button}>`)}
    </div>`}
    <form class="row new-name" onSubmit=${(event) => (event.preventDefault(), isValid && open({ new: file }))}>
      <${TextField} label="Or an empty file with this name" value=${name} onInput=${setName} placeholder="own" class="grow"
        error=${name && !isValid ? "Use letters, digits, “.”, “_” and “-”." : undefined} />
      <${Button} type="submit" disabled=${!isValid}>Open</${Button}>
    </form>
    <p class="note">To override one model with its current values as a start, open the model and choose <em>Override</em>.</p>
  </${Dialog}>`;
}
