/** Chat: a conversation with any model, to see what it answers, how fast, and what sparkd changes in a request. */

import { readError, send } from "../lib/api.js";
import { html, useEffect, useLayoutEffect, useRef, useState } from "../lib/html.js";
import { route } from "../lib/router.js";
import { Button, Empty, ErrorBox, IconButton, ViewHead, confirm, useLoad } from "../lib/ui.js";
import { Composer } from "./chat/composer.js";
import { change, clear, isRunning, settings, turns } from "./chat/conversation.js";
import { ExportDialog } from "./chat/exporting.js";
import { Settings } from "./chat/settings.js";
import { Turns } from "./chat/turns.js";

export const styles = ["chat.css"];

const NEAR = 80;
const WIDE = "(min-width: 70rem)";

export default function Chat() {
  const cards = useLoad(loadCards, []);
  const [isOpen, setOpen] = useState(matchMedia(WIDE).matches);
  const [isShown, setShown] = useState(false);
  useEffect(() => choose(cards.data), [cards.data, route.value.query.model]);
  const card = cards.data?.find(({ id }) => id === settings.value.model);
  return html`<div class="view chat-view">
    <${ViewHead} title="Chat" actions=${html`<${Actions} isOpen=${isOpen} onToggle=${() => setOpen(!isOpen)} onShow=${() => setShown(true)} />`} />
    ${cards.error && html`<${ErrorBox} title="The models cannot be listed" error=${cards.error} onRetry=${cards.reload} />`}
    <div class="chat ${isOpen ? "with-settings" : ""}">
      <section class="card talk" aria-label="Conversation">
        <${Conversation} />
        <${Composer} takesImages=${card?.vision} />
        <span class="visually-hidden" role="status">${announce()}</span>
      </section>
      ${isOpen && html`<section class="card chat-settings" id="chat-settings" aria-label="Settings of the chat"><${Settings} cards=${cards.data ?? []} /></section>`}
    </div>
    ${isShown && html`<${ExportDialog} onClose=${() => setShown(false)} />`}
  </div>`;
}

async function loadCards(signal) {
  const response = await send("GET", new URL("../v1/models", document.baseURI), { signal });
  if (!response.ok) throw await readError(response);
  return (await response.json()).data;
}

/** The model of the address, or the one that is loaded, unless one was chosen already. */
function choose(cards) {
  const wanted = route.value.query.model;
  if (wanted && wanted !== settings.value.model) change({ model: wanted });
  if (settings.value.model || !cards?.length) return;
  const loaded = cards.find(({ status }) => status?.value === "loaded");
  change({ model: (loaded ?? cards[0]).id });
}

function announce() {
  const last = turns.value.at(-1);
  if (last?.role !== "assistant") return "";
  return { done: "The answer is complete.", failed: "The request has failed.", stopped: "The answer was stopped." }[last.state] ?? "";
}

function Actions({ isOpen, onToggle, onShow }) {
  const isEmpty = turns.value.length === 0;
  const clearAll = async () => {
    if (await confirm({ title: "Begin a new conversation?", content: "This one is forgotten.", action: "Begin" })) clear();
  };
  return html`<${Button} size="small" icon="external" onClick=${onShow} disabled=${isEmpty}>curl, Python, export</${Button}>
    <${Button} size="small" onClick=${clearAll} disabled=${isEmpty || isRunning.value}>New</${Button}>
    <${Button} size="small" aria-expanded=${isOpen ? "true" : "false"} onClick=${onToggle}>Settings</${Button}>`;
}

/** The messages. They scroll along with an answer unless the user has scrolled up. */
function Conversation() {
  const place = useRef(null);
  const follows = useRef(true);
  const [isAway, setAway] = useState(false);
  const scroll = ({ target }) => {
    follows.current = target.scrollHeight - target.scrollTop - target.clientHeight < NEAR;
    setAway(!follows.current);
  };
  const toEnd = () => place.current?.scrollTo({ top: place.current.scrollHeight });
  useLayoutEffect(() => {
    if (follows.current) toEnd();
  }, [turns.value]);
  if (!turns.value.length) {
    return html`<div class="talk-empty"><${Empty} title="Talk to ${settings.value.model || "a model"}">
      <p>If it is not loaded, sparkd loads it for your first message. The conversation stays in this tab.</p>
    </${Empty}></div>`;
  }
  return html`<div class="talk-scroll" ref=${place} onScroll=${scroll} tabindex="0" role="region" aria-label="Messages">
    <${Turns} />
    ${isAway && html`<span class="to-end"><${IconButton} icon="down" label="To the newest message" kind="" onClick=${toEnd} /></span>`}
  </div>`;
}
