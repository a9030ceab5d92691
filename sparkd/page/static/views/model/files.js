/** Files: what is on disk, what is missing, download and removal. */

import { del, get, post } from "../../lib/api.js";
import { bytes } from "../../lib/format.js";
import { html } from "../../lib/html.js";
import { canControl } from "../../lib/rights.js";
import { Button, Empty, ErrorBox, Loading, Progress, State, Table, Value, confirm, toast, usePoll } from "../../lib/ui.js";

const STATES = { complete: ["ok", "complete"], incomplete: ["warn", "incomplete"], absent: ["idle", "not on disk"], unknown: ["idle", "unknown"] };

/** The tab. */
export function Files({ id, path, status, onChange }) {
  const { data, error, reload } = usePoll((signal) => get(`models/${path}/files`, {}, { signal }), [path, status?.phase], 2);
  if (error) return html`<${ErrorBox} title="The files cannot be listed" error=${error} onRetry=${reload} />`;
  if (!data) return html`<${Loading} what="the files" />`;
  if (!data.length) return html`<${Empty} title="This model needs no files">Its command brings its own.</${Empty}>`;
  const isComplete = data.every((part) => part.state === "complete");
  const isDownloading = data.some((part) => part.downloading);
  const changed = () => (reload(), onChange());
  return html`<div class="stack">
    <${Table} caption="Files" columns=${COLUMNS} rows=${data} rowKey=${(row) => row.source} />
    ${isDownloading && html`<${Download} parts=${data} />`}
    ${data.map((part) => part.missing.length > 0 && html`<${Missing} key=${part.source} part=${part} />`)}
    ${canControl.value && html`<div class="row">
      ${!isComplete && !isDownloading && html`<${Button} icon="download" onClick=${() => pull(id, path, data, changed)}>Download</${Button}>`}
      ${data.some((part) => part.size > 0) && html`<${Button} kind="danger" icon="trash" onClick=${() => remove(id, path, data, changed)}>Delete files…</${Button}>`}
    </div>`}
  </div>`;
}

const COLUMNS = [
  { id: "source", name: "Source", header: true, cell: (row) => html`<span class="mono wrap-anywhere">${row.source}</span>` },
  { id: "state", name: "State", cell: (row) => html`<${PartState} part=${row} />` },
  { id: "size", name: "On disk", number: true, cell: (row) => (row.size ? bytes(row.size) : "—") },
  { id: "left", name: "To download", number: true, cell: (row) => (row.state === "complete" ? "—" : html`<${Value} text=${bytes(row.bytes_left)} />`) },
];

function PartState({ part }) {
  if (part.downloading) return html`<${State} state="downloading" />`;
  const [kind, text] = STATES[part.state];
  return html`<${State} kind=${kind}>${text}</${State}>`;
}

function Download({ parts }) {
  const isKnown = parts.every((part) => part.state === "complete" || part.bytes_left !== null);
  const left = parts.reduce((sum, part) => sum + (part.bytes_left ?? 0), 0);
  const done = parts.reduce((sum, part) => sum + part.size, 0);
  const text = isKnown ? `${bytes(done)} of ${bytes(done + left)}` : `${bytes(done)}; the rest is unknown`;
  return html`<${Progress} label="Download" value=${isKnown && done + left ? done / (done + left) : null} text=${text} />`;
}

function Missing({ part }) {
  return html`<details><summary>${part.missing.length === 1 ? "1 file is" : `${part.missing.length} files are`} missing in ${part.source}</summary>
    <ul class="mono note">${part.missing.slice(0, 200).map((name) => html`<li key=${name}>${name}</li>`)}</ul></details>`;
}

async function pull(id, path, parts, onChange) {
  const left = parts.every((part) => part.state === "complete" || part.bytes_left !== null)
    ? bytes(parts.reduce((sum, part) => sum + (part.bytes_left ?? 0), 0))
    : "an unknown size";
  const content = html`<p>This downloads ${left}. It continues if you close this page.</p>`;
  if (!(await confirm({ title: `Download ${id}?`, content, action: "Download" }))) return;
  post(`models/${path}/pull`).then(
    () => (toast(`${id} is on disk.`), onChange()),
    (error) => (toast(error.message, "bad"), onChange()),
  );
  await new Promise((resolve) => setTimeout(resolve, 800));
  onChange();
}

async function remove(id, path, parts, onChange) {
  const content = html`<p>This deletes ${bytes(parts[0].size)}. Requests for it are then rejected, or wait for a download.</p>`;
  if (!(await confirm({ title: `Delete the files of ${id}?`, content, action: "Delete", kind: "danger" }))) return;
  const { freed } = await del(`models/${path}/files`);
  toast(`${bytes(freed)} are free again.`);
  onChange();
}
