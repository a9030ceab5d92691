/** A conversation as files, and its request as programs. */

import { get } from "../../lib/api.js";
import { html, useState } from "../../lib/html.js";
import { Button, Copy, Dialog, ErrorBox, Loading, Tabs, useLoad } from "../../lib/ui.js";
import { saveText } from "../../lib/download.js";
import { bodyOf, settings, turns } from "./conversation.js";
import { toCurl, toPython } from "./requests.js";

const FORMATS = [["curl", "curl"], ["python", "Python"], ["md", "Markdown"], ["json", "JSON"]];

/** The dialog with the last request as a program, and the conversation as a file. */
export function ExportDialog({ onClose }) {
  const [format, setFormat] = useState("curl");
  const clients = useLoad((signal) => get("clients", {}, { signal }), []);
  return html`<${Dialog} title="The conversation elsewhere" class="wide" onClose=${onClose}>
    <${Tabs} label="Format" value=${format} onChange=${setFormat} tabs=${FORMATS}>
      ${clients.isLoading ? html`<${Loading} />` : html`<${Exported} format=${format} clients=${clients.data} />`}
    </${Tabs}>
  </${Dialog}>`;
}

function Exported({ format, clients }) {
  let text;
  try {
    text = render(format, clients);
  } catch (error) {
    return html`<${ErrorBox} error=${error} />`;
  }
  const isFile = format === "md" || format === "json";
  const note = isFile ? "The whole conversation." : "The last request. Images are shortened.";
  return html`<div class="stack">
    <p class="note">${note}</p>
    <div class="code-frame"><div class="code-head"><span>${format}</span><span class="row">
      ${isFile && html`<${Button} kind="quiet" size="small" icon="download" onClick=${() => saveAs(format, text)}>Download</${Button}>`}<${Copy} text=${text} />
    </span></div><pre tabindex="0">${text}</pre></div>
  </div>`;
}

function render(format, clients) {
  if (format === "md") return toMarkdown();
  if (format === "json") return JSON.stringify({ settings: settings.value, turns: turns.value }, null, 2);
  const base = clients?.base ?? location.origin;
  return (format === "curl" ? toCurl : toPython)(bodyOf(lastQuestion()), base, clients?.keys_required ?? true);
}

function saveAs(format, text) {
  const name = `chat-${new Date().toISOString().slice(0, 16).replace(":", "")}.${format}`;
  saveText(name, text, format === "json" ? "application/json" : "text/markdown");
}

/** The turns of the last request: all without the answer at the end. */
function lastQuestion() {
  const all = turns.value;
  return all.at(-1)?.role === "assistant" ? all.slice(0, -1) : all;
}

function toMarkdown() {
  const { model, system } = settings.value;
  const parts = [`# Chat with ${model}`, ...(system ? [`**System**\n\n${system}`] : [])];
  for (const turn of turns.value) {
    const name = { user: "You", tool: `Result of ${turn.name}` }[turn.role] ?? turn.servedBy ?? turn.model;
    const calls = (turn.calls ?? []).map((call) => `\n\n\`${call.name}(${call.text})\``).join("");
    const images = turn.images?.length ? `\n\n(${turn.images.length} images)` : "";
    parts.push(`**${name}**\n\n${turn.text}${images}${calls}`);
  }
  return `${parts.join("\n\n---\n\n")}\n`;
}
