/** What a request is made of beside the messages: model, system prompt, parameters, tools. */

import { count } from "../../lib/format.js";
import { html, useId } from "../../lib/html.js";
import { models as live } from "../../lib/live.js";
import { Facts, Field, Select, State, Tags, TextArea, TextField, useLoad } from "../../lib/ui.js";
import { change, settings } from "./conversation.js";
import { effectOf, effortsOf, fetchOptions } from "./effective.js";
import { parseObject, parseTools } from "./requests.js";

const MOST_OPTIONS = 300;

/** @type {[string, string, {min?: number, max?: number, step: number}][]} */
const NUMBERS = [
  ["temperature", "Temperature", { min: 0, max: 2, step: 0.1 }],
  ["top_p", "Top p", { min: 0, max: 1, step: 0.05 }],
  ["top_k", "Top k", { min: -1, step: 1 }],
  ["max_tokens", "Most tokens", { min: 1, step: 1 }],
  ["presence_penalty", "Presence penalty", { min: -2, max: 2, step: 0.1 }],
  ["seed", "Seed", { step: 1 }],
];

const EXAMPLE = '[{"name": "get_weather", "description": "…", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}]';

/** The panel. `cards` are the models as `/v1/models` lists them. */
export function Settings({ cards }) {
  const { model, system, tools, extra } = settings.value;
  const card = cards.find(({ id, aliases }) => id === model || aliases?.includes(model));
  return html`<div class="stack">
    <${ModelField} cards=${cards} />
    ${card && html`<${ModelFacts} card=${card} />`}
    <${TextArea} label="System prompt" rows="3" value=${system} onInput=${(text) => change({ system: text })} />
    <${Parameters} card=${card} />
    <${TextArea} label="Tools" rows="4" inputClass="code" spellcheck="false" value=${tools} placeholder=${EXAMPLE} onInput=${(text) => change({ tools: text })}
      error=${problemOf(parseTools, tools)} hint="A list of functions in JSON. You type the result of each call." />
    <${TextArea} label="Further fields" rows="2" inputClass="code" spellcheck="false" value=${extra} placeholder=${'{"min_p": 0.05}'} onInput=${(text) => change({ extra: text })}
      error=${problemOf((text) => parseObject(text, "Further fields"), extra)} hint="Any other field of the request, as a JSON object." />
  </div>`;
}

function problemOf(parse, text) {
  try {
    parse(text);
    return undefined;
  } catch (error) {
    return error.message;
  }
}

/** A list of few models, and a field with suggestions for many. */
function ModelField({ cards }) {
  const id = useId();
  const { model } = settings.value;
  const choose = (name) => change({ model: name });
  if (cards.length <= MOST_OPTIONS) {
    const known = cards.some((card) => card.id === model);
    const choices = [...(known ? [] : [[model, model || "choose a model"]]), ...cards.map((card) => [card.id, card.choices ? `${card.id} (a choice)` : card.id])];
    return html`<${Select} label="Model" value=${model} choices=${choices} onChange=${choose} />`;
  }
  return html`<${Field} label="Model" hint="Type a part of the name.">
    ${(attributes) => html`<input class="input" list=${id} value=${model} onChange=${(event) => choose(event.target.value.trim())} ...${attributes} />
      <datalist id=${id}>${cards.map((card) => html`<option key=${card.id} value=${card.id} />`)}</datalist>`}
  </${Field}>`;
}

function ModelFacts({ card }) {
  const state = live.value[card.id]?.state ?? (card.status?.value === "loaded" ? "ready" : "stopped");
  const tags = [...(card.tags ?? []), ...(card.vision ? ["vision"] : [])];
  return html`<div class="stack model-facts">
    <div class="row"><${State} state=${state} /><${Tags} tags=${[...new Set(tags)]} /></div>
    <${Facts} facts=${[
      ["Context", card.context_length ? `${count(card.context_length)} tokens` : "unknown"],
      ["Chooses from", card.choices?.join(", ")],
      ["About", card.choices ? undefined : card.description || undefined],
    ]} />
  </div>`;
}

/** The parameters of the request, with what the catalogue does with each of them for this model. */
function Parameters({ card }) {
  const { model, parameters } = settings.value;
  const { data: options } = useLoad((signal) => fetchOptions(card, signal), [card?.id]);
  const effort = effectOf(options, model, "reasoning_effort");
  const set = (name, value) => change({ parameters: { ...parameters, [name]: value } });
  return html`<fieldset class="parameters">
    <legend>Parameters</legend>
    ${NUMBERS.map(([name, label, limits]) => {
      const { fixed, value, hint } = effectOf(options, model, name);
      const placeholder = value === undefined ? "default" : fixed ? `${value}` : `default: ${value}`;
      return html`<${TextField} key=${name} label=${label} type="number" placeholder=${placeholder} value=${fixed ? "" : (parameters[name] ?? "")}
        disabled=${fixed} hint=${hint} onInput=${(text) => set(name, text)} ...${limits} />`;
    })}
    <${Select} label="Reasoning effort" value=${parameters.reasoning_effort ?? ""} choices=${effortsOf(options, effort.value)} disabled=${effort.fixed} hint=${effort.hint}
      onChange=${(value) => set("reasoning_effort", value)} />
  </fieldset>`;
}
