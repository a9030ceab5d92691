/** A conversation as files, and its request as programs. */

import { get } from "../../lib/api.js";
import { html, useState } from "../../lib/html.js";
import { Copy, Dialog, ErrorBox, Loading, Tabs, useLoad } from "../../lib/ui.js";
import { saveText } from "../../lib/download.js";
import { bodyOf, settings, turns } from "./conversation.js";
import { toCurl, toPython } from "./requests.js";

/** The dialog with the same request as curl and Python. */
export function RequestDialog({ onClose }) {
  const [language, setLanguage] = useState("curl");
  const clients = useLoad((signal) => get("clients", {}, { signal }), []);
  return html`<${Dialog} title="The same request" class="wide" onClose=${onClose}>
    <${Tabs} label="Language" value=${language} onChange=${setLanguage} tabs=${[["curl", "curl"], ["python", "Python"]]}>
      ${clients.isLoading ? html`<${Loading} />` : html`<${Program} language=${language} clients=${clients.data} />`}
    </${Tabs}>
  </${Dialog}>`;
}

function Program({ language, clients }) {
  const base = clients?.base ?? location.origin;
  let text;
  try {
    text = (language === "curl" ? toCurl : toPython)(bodyOf(lastQuestion()), base, clients?.keys_required ?? true);
  } catch (error) {
    return html`<${ErrorBox} error=${error} />`;
  }
  return html`<div class="code-frame"><div class="code-head"><span>${language}</span><${Copy} text=${text} /></div><pre tabindex="0">${text}</pre></div>`;
}

/** The turns of the last request: all without the answer at the end. */
function lastQuestion() {
  const all = turns.value;
  return all.at(-1)?.role === "assistant" ? all.slice(0, -1) : all;
}

/** Download the conversation: "json" with everything, "md" for people. */
export function exportAs(format) {
  const name = `chat-${new Date().toISOString().slice(0, 16).replace(":", "")}.${format}`;
  const text = format === "json" ? JSON.stringify({ settings: settings.value, turns: turns.value }, null, 2) : toMarkdown();
  saveText(name, text, format === "json" ? "application/json" : "text/markdown");
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
