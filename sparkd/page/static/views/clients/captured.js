/** Captured requests: what one client has sent, or what was sent to one model, for some minutes. */

import { del, get, post } from "../../lib/api.js";
import { bytes, duration } from "../../lib/format.js";
import { html, useState } from "../../lib/html.js";
import { now } from "../../lib/live.js";
import { Button, Card, Copy, Drawer, Empty, ErrorBox, Facts, Loading, Select, Table, Tabs, TextField, Time, useLoad, usePoll } from "../../lib/ui.js";

const POLL = 3;
const MINUTES = [5, 10, 30, 60].map((minutes) => [String(minutes), `${minutes} minutes`]);
const BODIES = [["received", "Received"], ["sent", "Sent to the engine"], ["response", "The engine's response"]];

/** The panel. `clients` is what `/clients` lists. */
export function Captured({ clients }) {
  const { data, error, reload } = usePoll((signal) => get("captures", {}, { signal }), [], POLL);
  const [open, setOpen] = useState(null);
  if (error) return html`<${ErrorBox} error=${error} onRetry=${reload} />`;
  if (!data) return html`<${Loading} />`;
  return html`<div class="stack">
    ${data.rule ? html`<${Running} rule=${data.rule} onEnd=${reload} />` : html`<${Begin} clients=${clients} onBegin=${reload} />`}
    <${Card} title="Captured requests" note=${data.requests.length ? `${bytes(data.bytes)} of memory` : ""} flush
      actions=${data.requests.length > 0 && html`<${Button} size="small" kind="danger" icon="trash" onClick=${() => del("captures").then(reload)}>Forget all</${Button}>`}>
      ${data.requests.length ? html`<${Rows} rows=${data.requests} onOpen=${setOpen} />` : html`<${Empty} title="Nothing is captured">
        <p>sparkd keeps what requests contain only if you ask for it, only in memory, and forgets it an hour after the end at the latest.</p></${Empty}>`}
    </${Card}>
    ${open && html`<${Detail} row=${open} onClose=${() => setOpen(null)} />`}
  </div>`;
}

function Running({ rule, onEnd }) {
  const subject = rule.model ? `requests for the model ${rule.model}` : `requests of the client ${rule.client}`;
  return html`<div class="error-box" role="status">
    <strong>sparkd captures ${subject}</strong>
    <span>Their content is kept in memory for another ${duration(Math.max(0, rule.until - now.value))}.</span>
    <span><${Button} size="small" kind="danger" onClick=${() => del("captures").then(onEnd)}>End and forget</${Button}></span>
  </div>`;
}

/** Whose requests, and for how long. */
function Begin({ clients, onBegin }) {
  const [kind, setKind] = useState("client");
  const [name, setName] = useState("");
  const [minutes, setMinutes] = useState("10");
  const names = kind === "client" ? [...clients.keys.map((key) => key.name), "anonymous"] : clients.models;
  const begin = async () => {
    await post("captures", { [kind]: name.trim(), minutes: Number(minutes) });
    onBegin();
  };
  return html`<${Card} title="Begin a capture" note="To see why a program gets an unexpected answer. It contains what people have written.">
    <div class="filter-bar">
      <${Select} label="Of" value=${kind} choices=${[["client", "one client"], ["model", "one model"]]} onChange=${(value) => (setKind(value), setName(""))} />
      <${TextField} label=${kind === "client" ? "Name of a key or program" : "Model"} class="grow" value=${name} onInput=${setName} list="capture-names" autocomplete="off" />
      <datalist id="capture-names">${names.slice(0, 500).map((each) => html`<option key=${each} value=${each} />`)}</datalist>
      <${Select} label="For" value=${minutes} choices=${MINUTES} onChange=${setMinutes} />
      <${Button} kind="primary" onClick=${begin} disabled=${!name.trim()}>Begin</${Button}>
    </div>
  </${Card}>`;
}

function Rows({ rows, onOpen }) {
  const columns = [
    { id: "ended", name: "Ended", header: true, cell: (row) => html`<button type="button" class="link" onClick=${() => onOpen(row)}><${Time} at=${row.ended} /></button>` },
    { id: "client", name: "Client", cell: (row) => [row.client, row.program].filter(Boolean).join(", ") },
    { id: "model", name: "Model", cell: (row) => row.model },
    { id: "endpoint", name: "Endpoint", cell: (row) => html`<span class="mono">${row.endpoint}</span>` },
    { id: "status", name: "Status", number: true, cell: (row) => (row.code ? `${row.status} ${row.code}` : row.status) },
    { id: "received", name: "Received", number: true, cell: (row) => size(row.received) },
    { id: "response", name: "Response", number: true, cell: (row) => size(row.response) },
  ];
  return html`<${Table} caption="The newest first" columns=${columns} rows=${rows} rowKey=${({ id }) => id} />`;
}

const size = (count) => (count === null ? "none" : bytes(count));

function Detail({ row, onClose }) {
  const [body, setBody] = useState("received");
  const { data, error } = useLoad((signal) => get(`captures/${row.id}`, {}, { signal }), [row.id]);
  return html`<${Drawer} title="Request ${row.request}" onClose=${onClose}>
    <${Facts} facts=${[["Model", row.model], ["Client", [row.client, row.program].filter(Boolean).join(", ")], ["Endpoint", row.endpoint], ["Status", `${row.status} ${row.code}`], ["Took", duration(row.seconds)]]} />
    ${error && html`<${ErrorBox} error=${error} />`}
    ${data && html`<${Tabs} label="Content" tabs=${BODIES} value=${body} onChange=${setBody}><${Body} body=${data[body]} /></${Tabs}>`}
  </${Drawer}>`;
}

function Body({ body }) {
  if (!body) return html`<${Empty} title="There is none" />`;
  const text = prettify(body.text);
  return html`<div class="code-frame"><div class="code-head"><span>${bytes(body.size)}${body.cut ? ", cut" : ""}</span><${Copy} text=${body.text} /></div><pre tabindex="0">${text}</pre></div>`;
}

function prettify(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
