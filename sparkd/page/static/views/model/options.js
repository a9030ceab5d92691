/** Options: each effective value and where it comes from, and what starts the engine. */

import { html, useState } from "../../lib/html.js";
import { link } from "../../lib/router.js";
import { Check, Copy, ErrorBox, Prose, SearchField, Table } from "../../lib/ui.js";

const SOURCES = {
  model: "the model",
  change: "a change",
  family: "its family",
  runtime: "its runtime",
  default: "[defaults]",
  "built-in": "built in",
};

/** The tab. */
export function Options({ options }) {
  const [query, setQuery] = useState("");
  const [isAll, setAll] = useState(false);
  const wanted = query.trim().toLowerCase();
  const rows = options.options.filter(
    (each) => (isAll || each.source !== "built-in") && (!wanted || `${each.key} ${each.text} ${each.source}`.toLowerCase().includes(wanted)),
  );
  return html`<div class="stack">
    <div class="filter-bar">
      <${SearchField} label="Search options" hideLabel placeholder="Search options" value=${query} onInput=${setQuery} />
      <${Check} label="Built-in values, too" checked=${isAll} onChange=${setAll} />
    </div>
    <${Table} caption="Options" columns=${COLUMNS} rows=${rows} rowKey=${(row) => row.key} empty=${html`<p class="note">No option matches.</p>`} />
    <${Start} options=${options} />
  </div>`;
}

const COLUMNS = [
  { id: "key", name: "Option", header: true, value: (row) => row.key, cell: (row) => html`<code class="option-key" title=${row.description || null}>${row.key}</code>` },
  { id: "text", name: "Value", class: "option-value", cell: (row) => html`<${OptionValue} row=${row} />` },
  { id: "source", name: "From", value: (row) => row.source, cell: (row) => html`<${Origin} row=${row} />` },
];

function OptionValue({ row }) {
  if (row.text === "null" || row.text === '""' || row.text === "[]" || row.text === "{}") return html`<span class="unknown">not set</span>`;
  const text = Array.isArray(row.value) ? row.value.map((each) => JSON.stringify(each)).join(", ") : row.text;
  return html`<code>${text}</code>`;
}

function Origin({ row }) {
  if (!row.file) return html`<span class="muted">${SOURCES[row.source]}</span>`;
  const place = `${row.file.replace("models.d/", "")}${row.line ? `:${row.line}` : ""}`;
  return html`<span class="origin">${SOURCES[row.source]} <a class="mono" href=${link("catalogue", row.file, { line: row.line })} title="[${row.table}]">${place}</a></span>`;
}

function Start({ options }) {
  if (!options.command) return html`<h3>Command</h3><${ErrorBox} kind="warn" title="Its engine cannot start yet" error=${html`<${Prose} text=${options.obstacle} />`} />`;
  const variables = Object.entries(options.environment);
  return html`<div class="row spread"><h3>Command</h3><${Copy} text=${options.command_text} /></div>
    <pre class="command-line" tabindex="0" role="region" aria-label="Command">${wrapFlags(options.command)}</pre>
    <details><summary>Environment: ${variables.length} variables</summary>
      <dl class="facts environment">${variables.map(([name, value]) => html`<dt><code>${name}</code></dt><dd><code>${value}</code></dd>`)}</dl>
    </details>
    <p class="note">As it would be started now. Secrets are hidden; the private folder is <code>${"<run>"}</code>, and a port of 0 is chosen at the start.</p>`;
}

/** A command with one flag a line. */
function wrapFlags(words) {
  return words.map((word, index) => (index && word.startsWith("--") ? ` \\\n    ${quote(word)}` : `${index ? " " : ""}${quote(word)}`)).join("");
}

const quote = (word) => (/^[\w@%+=:,./<>-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);
