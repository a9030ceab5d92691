/** The messages of a conversation. */

import { count, duration, speed } from "../../lib/format.js";
import { html, useMemo, useState } from "../../lib/html.js";
import { Button, Copy, Dialog, ErrorBox, IconButton, State, TextArea } from "../../lib/ui.js";
import { speedOf } from "./answers.js";
import { askAgain, editTurn, isRunning, sendResults, turns } from "./conversation.js";
import { Markdown } from "./markdown.js";
import { explainRewrite } from "./rewrites.js";
import { Waiting } from "./waiting.js";

/** All messages, oldest first. */
export function Turns() {
  const all = turns.value;
  return html`<ol class="turns">
    ${all.map((turn, index) => html`<${Turn} key=${turn.id} turn=${turn} isLast=${index === all.length - 1} />`)}
  </ol>`;
}

/** One message; rendered again only if it has changed. */
function Turn({ turn, isLast }) {
  const busy = isRunning.value;
  return useMemo(() => {
    if (turn.role === "user") return html`<${UserTurn} turn=${turn} />`;
    if (turn.role === "tool") return html`<${ToolTurn} turn=${turn} />`;
    return html`<${Answer} turn=${turn} isLast=${isLast} />`;
  }, [turn, isLast, busy]);
}

function UserTurn({ turn }) {
  return html`<li class="turn user">
    <span class="turn-actions"><${IconButton} icon="edit" label="Edit and send again" onClick=${() => editTurn(turn.id)} disabled=${isRunning.value} /></span>
    <div class="bubble">
      <span class="visually-hidden">You:</span>
      ${turn.images.length > 0 && html`<div class="pictures">${turn.images.map(({ name, url }) => html`<img key=${url} src=${url} alt=${name || "image"} />`)}</div>`}
      <p class="as-typed">${turn.text}</p>
    </div>
  </li>`;
}

function ToolTurn({ turn }) {
  return html`<li class="turn tool"><details class="fold">
    <summary>Result of <code>${turn.name}</code></summary><pre tabindex="0">${turn.text}</pre>
  </details></li>`;
}

function Answer({ turn, isLast }) {
  const isOpen = turn.state === "waiting" || turn.state === "streaming";
  return html`<li class="turn answer" aria-busy=${isOpen ? "true" : null}>
    <${AnswerHead} turn=${turn} />
    ${turn.state === "waiting" && html`<${Waiting} turn=${turn} />`}
    ${turn.reasoning && html`<${Reasoning} turn=${turn} />`}
    ${turn.text && html`<${Markdown} text=${turn.text} />`}
    ${turn.calls.length > 0 && html`<${ToolCalls} turn=${turn} isOpen=${isLast && turn.state === "done"} />`}
    ${turn.problem && html`<${ErrorBox} error=${turn.problem} onRetry=${isLast ? () => askAgain(turn.id) : null} />`}
    ${!isOpen && html`<${AnswerFoot} turn=${turn} />`}
  </li>`;
}

/** Which model answers, and how the answer has ended if that is not usual. */
function AnswerHead({ turn: { model, servedBy, state, finish } }) {
  return html`<header class="answer-head">
    <strong>${servedBy ?? model}</strong>
    ${servedBy && servedBy !== model && html`<span class="note">for ${model}</span>`}
    ${state === "stopped" && html`<${State} kind="idle">stopped</${State}>`}
    ${finish === "length" && html`<${State} kind="warn">token limit reached</${State}>`}
  </header>`;
}

function Reasoning({ turn }) {
  const isThinking = turn.state === "streaming" && !turn.text && !turn.calls.length;
  return html`<details class="fold reasoning">
    <summary>${isThinking ? html`<${State} kind="busy">thinking</${State}>` : "Reasoning"} <span class="note">${count(turn.reasoning.length)} characters</span></summary>
    <p class="as-typed">${turn.reasoning}</p>
  </details>`;
}

function ToolCalls({ turn, isOpen }) {
  const [results, setResults] = useState({});
  return html`<div class="stack calls">
    ${turn.calls.map((call) => html`<section class="call" key=${call.id} aria-label="Tool call">
      <header class="row"><${State} kind="info">tool call</${State}><code>${call.name}</code><${Copy} text=${call.text} label="Copy arguments" /></header>
      <pre tabindex="0">${prettify(call.text)}</pre>
      ${isOpen && html`<${TextArea} label="Result of ${call.name}" inputClass="code" rows="2" value=${results[call.id] ?? ""}
        onInput=${(text) => setResults({ ...results, [call.id]: text })} />`}
    </section>`)}
    ${isOpen && html`<div><${Button} kind="primary" onClick=${() => sendResults(turn, results)}>Send ${turn.calls.length === 1 ? "the result" : "the results"}</${Button}></div>`}
  </div>`;
}

function prettify(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/** What an answer cost, what was rewritten, and what can be done with it. */
function AnswerFoot({ turn }) {
  const [isShown, setShown] = useState(false);
  const { usage, began, first, ended } = turn;
  const total = (ended - began) / 1000;
  const facts = [
    usage && `${count(usage.in)} tokens in${usage.cached ? ` (${count(usage.cached)} cached)` : ""}`,
    usage && `${count(usage.out)} out`,
    speedOf(turn) !== null && speed(speedOf(turn)),
    first && `first token after ${duration((first - began) / 1000)}`,
    `${duration(total)} in all`,
  ].filter(Boolean);
  return html`<footer class="answer-foot">
    <span class="note">${facts.join(" · ")}</span>
    ${turn.rewrites.length > 0 && html`<button type="button" class="button quiet small" onClick=${() => setShown(true)}>Rewritten by ${turn.rewrites.length === 1 ? "1 rule" : `${turn.rewrites.length} rules`}</button>`}
    <span class="turn-actions"><${Copy} text=${turn.text} /><${IconButton} icon="retry" label="Ask again" disabled=${isRunning.value} onClick=${() => askAgain(turn.id)} /></span>
    ${isShown && html`<${Rewrites} names=${turn.rewrites} onClose=${() => setShown(false)} />`}
  </footer>`;
}

function Rewrites({ names, onClose }) {
  return html`<${Dialog} title="What sparkd changed in this request" onClose=${onClose}>
    <dl class="facts">${names.map((name) => html`<dt><code>${name}</code></dt><dd>${explainRewrite(name)}</dd>`)}</dl>
    <p class="note">In a terminal, <code>sparkctl explain MODEL</code> shows each changed field.</p>
  </${Dialog}>`;
}
