/** The configuration of one program: files, lines to enter, the command that writes it, and whether it works. */

import { get, post } from "../../lib/api.js";
import { saveText } from "../../lib/download.js";
import { counted, count, duration } from "../../lib/format.js";
import { html, useState } from "../../lib/html.js";
import { canControl } from "../../lib/rights.js";
import { Button, Card, Check, Copy, ErrorBox, Loading, State, Table, Tags, Time, useLoad, usePoll } from "../../lib/ui.js";

const POLL = 5;

/** The configuration of `program` for `{model, key, base}`. */
export function Configuration({ program, wanted }) {
  const [withKey, setWithKey] = useState(false);
  const isSecret = withKey && Boolean(wanted.key) && canControl.value;
  const { data, error, isLoading } = useLoad((signal) => load(program, wanted, isSecret, signal), [program, wanted.model, wanted.key, wanted.base, isSecret]);
  if (error) return html`<${ErrorBox} title="There is no configuration" error=${error} />`;
  if (!data || data.program !== program) return html`<${Loading} what="the configuration" />`;
  return html`<div class="stack" aria-busy=${isLoading ? "true" : null}>
    ${data.files.map((file) => html`<${FileCard} key=${file.path ?? file.format} file=${file} program=${program} />`)}
    ${data.lines.length > 0 && html`<${Card} title="To enter by hand"><${Code} text=${data.lines.join("\n")} label="lines" /></${Card}>`}
    <${Steps} data=${data} wanted=${wanted} withKey=${withKey} onKey=${setWithKey} />
    <${Reach} program=${program} data=${data} wanted=${wanted} />
    <${Models} data=${data} />
  </div>`;
}

function load(program, { model, key, base }, isSecret, signal) {
  const path = `clients/${encodeURIComponent(program)}`;
  return isSecret ? post(path, { model, key, base, secret: true }, { signal }) : get(path, { model, key, base }, { signal });
}

function Code({ text, label, actions }) {
  return html`<div class="code-frame"><div class="code-head"><span>${label}</span><span class="row">${actions}<${Copy} text=${text} /></span></div><pre tabindex="0">${text}</pre></div>`;
}

function FileCard({ file, program }) {
  const name = file.path?.split("/").at(-1) ?? `${program}.${file.format}`;
  const save = html`<${Button} kind="quiet" size="small" icon="download" onClick=${() => saveText(name, file.text)}>Download</${Button}>`;
  return html`<${Card} title=${file.path ?? "A file of your choice"} class="client-file"><${Code} text=${file.text} label=${file.format} actions=${save} /></${Card}>`;
}

/** What is left to do, in order. */
function Steps({ data, wanted, withKey, onKey }) {
  const canPutIn = canControl.value && Boolean(wanted.key);
  return html`<${Card} title="Steps">
    <ol class="steps">
      ${data.needs_key && html`<li>Give the program a key: put ${wanted.key ? html`the key <code>${wanted.key}</code>` : "one of your keys"} into the environment variable${" "}
        <code>SPARKD_API_KEY</code>, or replace the placeholder in the configuration.
        ${canPutIn && html`<div><${Check} label="Put the key into the configuration above" checked=${withKey} onChange=${onKey} /></div>`}</li>`}
      ${data.has_secret && html`<li>The configuration above contains the key <code>${data.key}</code>. Keep it private.
        <div><${Check} label="Put the key into the configuration above" checked=${withKey} onChange=${onKey} /></div></li>`}
      <li>${data.files.length ? "Merge the configuration into the file above. Where sparkctl is installed, this does it, with a backup:" : "Enter the lines above. sparkctl prints the same:"}
        <${Code} label="shell" text=${data.command} /></li>
      <li>Test the connection from the program's machine:<${Code} label="shell" text=${testCommand(data)} /></li>
    </ol>
    ${data.notes.length > 0 && html`<ul class="client-notes">${data.notes.map((note) => html`<li key=${note}>${note}</li>`)}</ul>`}
    <p class="note">A request may wait ${duration(data.timeout)} for its model, so the program's timeout is set to that.</p>
  </${Card}>`;
}

const testCommand = ({ base, needs_key: needsKey, has_secret: hasSecret }) =>
  `curl ${base}/v1/models${needsKey || hasSecret ? ' -H "Authorization: Bearer $SPARKD_API_KEY"' : ""}`;

/** The last request of the program or of the key. */
function Reach({ program, data, wanted }) {
  const { data: last, error } = usePoll((signal) => findLast(program, wanted.key, signal), [program, wanted.key], POLL);
  const subject = wanted.key ? `the key ${wanted.key}` : data.purpose.split(",")[0];
  return html`<${Card} title="Does it reach sparkd?">
    ${error
      ? html`<p class="note">Unknown: ${error.message}</p>`
      : last?.request
        ? html`<p class="row"><${State} kind=${last.request.status < 400 ? "ok" : "warn"}>${last.request.status < 400 ? "yes" : `status ${last.request.status}`}</${State}>
            <span>The last request of ${last.by} was <${Time} at=${last.request.ended} relative />, to ${last.request.model}.</span></p>`
        : html`<p class="row"><${State} kind="idle">not yet</${State}><span>No request of ${subject} is recorded. Send one: this changes by itself.</span></p>`}
  </${Card}>`;
}

/** By the program if it was recognized, otherwise by the key. */
async function findLast(program, key, signal) {
  const byProgram = await get("requests", { program, client: key, limit: 1 }, { signal });
  if (byProgram.requests.length) return { request: byProgram.requests[0], by: "this program" };
  if (!key) return { request: null };
  const byKey = await get("requests", { client: key, limit: 1 }, { signal });
  return { request: byKey.requests[0] ?? null, by: `the key ${key}` };
}

function Models({ data }) {
  const columns = [
    { id: "id", name: "Model", header: true, cell: ({ id }) => html`<span class="mono">${id}</span>` },
    { id: "context", name: "Context", number: true, cell: ({ context }) => count(context) },
    { id: "output", name: "Longest answer", number: true, cell: ({ output }) => count(output) },
    { id: "can", name: "Can", cell: (model) => html`<${Tags} tags=${abilities(model)} />` },
  ];
  return html`<${Card} title="Models in this configuration" note=${counted(data.models.length, "model")} flush>
    <${Table} caption="Models, their limits and abilities" columns=${columns} rows=${data.models} rowKey=${({ id }) => id} />
  </${Card}>`;
}

const abilities = (model) => ["vision", "tools", "reasoning"].filter((name) => model[`has_${name}`]);
