/** Clients: the configuration of each program for each key, and what a client has sent. */

import { get } from "../lib/api.js";
import { html, useEffect, useState } from "../lib/html.js";
import { go, link, route, setQuery } from "../lib/router.js";
import { canControl } from "../lib/rights.js";
import { Card, ErrorBox, Loading, Select, Tabs, Tags, TextField, ViewHead, useLoad } from "../lib/ui.js";
import { Captured } from "./clients/captured.js";
import { Configuration } from "./clients/configuration.js";

export const styles = ["clients.css"];

const TABS = [["", "Configurations"], ["captured", "Captured requests"]];
const LOOPBACK = /^https?:\/\/(localhost|127\.|\[::1\])/;
const TYPED_AFTER = 400;

export default function Clients() {
  const { data, error, reload } = useLoad((signal) => get("clients", {}, { signal }), []);
  const tab = route.value.query.tab === "captured" && canControl.value ? "captured" : "";
  const content = error ? html`<${ErrorBox} error=${error} onRetry=${reload} />` : !data ? html`<${Loading} />` : tab ? html`<${Captured} clients=${data} />` : html`<${Programs} clients=${data} />`;
  return html`<div class="view">
    <${ViewHead} title="Clients">Ready configurations of programs that use this sparkd, with its models, their limits and timeouts.</${ViewHead}>
    ${canControl.value ? html`<${Tabs} label="Clients" tabs=${TABS} value=${tab} onChange=${(value) => setQuery({ tab: value })}>${content}</${Tabs}>` : content}
  </div>`;
}

function Programs({ clients }) {
  const { rest, query } = route.value;
  const program = clients.programs.some(({ id }) => id === rest) ? rest : clients.programs[0].id;
  const suggested = LOOPBACK.test(location.origin) ? clients.base : location.origin;
  const wanted = { key: query.key ?? clients.keys[0]?.name ?? "", model: query.model ?? "", base: query.base ?? suggested };
  return html`<div class="clients">
    <${ProgramList} programs=${clients.programs} current=${program} query=${query} />
    <div class="stack">
      <${Card} title=${clients.programs.find(({ id }) => id === program).purpose}><${Choices} clients=${clients} wanted=${wanted} /></${Card}>
      <${Configuration} program=${program} wanted=${wanted} />
    </div>
  </div>`;
}

function ProgramList({ programs, current, query }) {
  return html`<nav class="card program-list" aria-label="Programs">
    <${Select} label="Program" class="program-select" value=${current} choices=${programs.map(({ id, purpose }) => [id, purpose.split(",")[0]])}
      onChange=${(id) => go(link("clients", id, query))} />
    <ul>${programs.map(({ id, purpose }) => {
      const [name, ...rest] = purpose.split(", ");
      return html`<li key=${id}><a href=${link("clients", id, query)} aria-current=${id === current ? "page" : null}><span>${name}</span><small>${rest.join(", ")}</small></a></li>`;
    })}</ul>
  </nav>`;
}

/** For which key, with which main model, at which address. */
function Choices({ clients, wanted }) {
  const [base, setBase] = useState(wanted.base);
  useEffect(() => {
    const timer = setTimeout(() => base !== wanted.base && setQuery({ base }), TYPED_AFTER);
    return () => clearTimeout(timer);
  }, [base]);
  const key = clients.keys.find(({ name }) => name === wanted.key);
  return html`<div class="stack">
    <div class="grid client-choices">
      ${clients.keys_required && html`<${Select} label="API key" value=${wanted.key} choices=${clients.keys.map(({ name }) => [name, name])} onChange=${(name) => setQuery({ key: name, model: "" })} />`}
      <${MainModel} clients=${clients} wanted=${wanted} />
      <${TextField} label="Address of sparkd for the program" value=${base} onInput=${setBase} spellcheck="false" error=${undefined}
        hint=${LOOPBACK.test(wanted.base) ? "Only for programs on this machine. For others, enter its name." : undefined} />
    </div>
    ${key && html`<p class="row"><${Tags} tags=${describeRules(key.rules)} /></p>`}
  </div>`;
}

function MainModel({ clients, wanted }) {
  const choose = (model) => setQuery({ model });
  if (clients.models.length > 300) {
    return html`<div><${TextField} label="Main model" value=${wanted.model} placeholder="the best for code" list="client-models" onInput=${() => {}} onChange=${(event) => choose(event.target.value.trim())} />
      <datalist id="client-models">${clients.models.map((id) => html`<option key=${id} value=${id} />`)}</datalist></div>`;
  }
  return html`<${Select} label="Main model" value=${wanted.model} choices=${[["", "the best for code"], ...clients.models.map((id) => [id, id])]} onChange=${choose} />`;
}

/** What a key may do. */
function describeRules(rules) {
  return [
    `role ${rules.role}`,
    rules.models.length ? `models: ${rules.models.join(", ")}` : "all models",
    rules.max_in_flight && `${rules.max_in_flight} requests at once`,
    rules.rate && `${rules.rate} requests a minute`,
    rules.priority && `priority ${rules.priority}`,
    rules.background && "in the background",
  ].filter(Boolean);
}
