/** The frame of the page: navigation, header, banners, the dialog for the API key. */

import { keyProblem, setApiKey } from "./api.js";
import { bytes, power, temperature, percent } from "./format.js";
import { html, useEffect, useRef, useSignal } from "./html.js";
import { Icon, Mark } from "./icons.js";
import { connection, connectionProblem, inFlight, machine, models, queue } from "./live.js";
import { link, route } from "./router.js";
import { table } from "./tables.js";
import { setTheme, theme } from "./theme.js";
import { Button, Dialog, IconButton, Meter, Questions, State, TextField, Toasts } from "./ui.js";

export const VIEWS = table({
  now: "Now",
  models: "Models",
  requests: "Requests",
  chat: "Chat",
  logs: "Logs",
  history: "History",
  usage: "Usage",
  clients: "Clients",
  catalogue: "Catalogue",
  doctor: "Doctor",
});

/** The whole page around `children`, the view. */
export function Shell({ children }) {
  const isOpen = useSignal(false);
  const main = useRef(null);
  const { view } = route.value;
  useEffect(() => {
    isOpen.value = false;
    document.title = [VIEWS[view] ?? "Not found", machine.value?.name, "sparkd"].filter(Boolean).join(" · ");
  }, [view, machine.value?.name]);
  return html`<div class="app">
    <a class="skip-link" href="#main" onClick=${(event) => skip(event, main)}>Skip to the content</a>
    <${Nav} view=${view} isOpen=${isOpen} />
    <div class="top"><${Header} isOpen=${isOpen} /><${Banners} /></div>
    <main class="main" id="main" tabindex="-1" ref=${main}>${children}</main>
    <${Toasts} /><${Questions} />${keyProblem.value && html`<${KeyDialog} />`}
  </div>`;
}

/** The link must not change the hash, which has the view. */
function skip(event, main) {
  event.preventDefault();
  main.current.focus();
}

function Nav({ view, isOpen }) {
  return html`${isOpen.value && html`<div class="nav-shade" onClick=${() => (isOpen.value = false)} />`}
    <nav class="nav ${isOpen.value ? "open" : ""}" aria-label="Views">
      <a class="brand" href=${link("now")}><${Mark} />sparkd</a>
      <ul>
        ${Object.entries(VIEWS).map(
          ([name, text]) => html`<li key=${name}><a href=${link(name)} aria-current=${name === view ? "page" : null}>
            <${Icon} name=${name} size=${17} />${text}<${Count} view=${name} />
          </a></li>`,
        )}
      </ul>
      <div class="nav-foot">
        <${ThemeSwitch} />
        ${machine.value && html`<span>sparkd ${machine.value.version}<br />${machine.value.name}</span>`}
      </div>
    </nav>`;
}

function Count({ view }) {
  const counts = {
    now: inFlight.value?.total,
    models: Object.values(models.value).filter((row) => row.state === "ready" || row.state === "starting").length,
  };
  const meaning = { now: "in flight", models: "in memory or loading" }[view];
  return counts[view] ? html`<span class="nav-count" title="${counts[view]} ${meaning}">${counts[view]}<span class="visually-hidden"> ${meaning}</span></span>` : null;
}

function ThemeSwitch() {
  const names = { system: ["system", "As the system"], light: ["sun", "Light"], dark: ["moon", "Dark"] };
  return html`<div class="segments" role="group" aria-label="Colours">
    ${Object.entries(names).map(
      ([name, [icon, text]]) => html`<button key=${name} type="button" aria-label=${text} title=${text}
        aria-pressed=${theme.value === name ? "true" : "false"} onClick=${() => setTheme(name)}><${Icon} name=${icon} size=${14} /></button>`,
    )}
  </div>`;
}

function Header({ isOpen }) {
  return html`<header class="header">
    <span class="menu-button"><${IconButton} icon="menu" label="Views" size="" aria-expanded=${isOpen.value ? "true" : "false"}
      onClick=${() => (isOpen.value = !isOpen.value)} /></span>
    <${Connection} />
    <${MemoryMeter} />
    <div class="header-facts"><${GpuFacts} /><${RequestFacts} /></div>
  </header>`;
}

const CONNECTION = {
  connecting: ["idle", "connecting"],
  live: ["ok", "live"],
  stale: ["warn", "stale"],
  offline: ["bad", "no connection"],
  refused: ["bad", "no access"],
};

function Connection() {
  const [kind, text] = CONNECTION[connection.value];
  const state = machine.value?.state;
  const isServing = connection.value !== "live" || !state || state === "serving";
  return html`<span aria-live="polite" title=${connectionProblem.value || null}>
    ${isServing ? html`<${State} kind=${kind}>${text}</${State}>` : html`<${State} kind="warn">${state}</${State}>`}
  </span>`;
}

function MemoryMeter() {
  const memory = machine.value?.memory;
  if (!memory || memory.available === null) return null;
  const used = memory.total - memory.available;
  const text = `${bytes(used)} of ${bytes(memory.total)}`;
  return html`<span class="header-memory note">
    <${Meter} label="Memory in use" value=${used} max=${memory.total} text=${text} kind=${memory.available < memory.floor * 2 ? "warn" : ""} />
    <span class="nowrap" title="Memory in use, of all programs"><span class="header-word">Memory </span>${text}</span>
  </span>`;
}

function GpuFacts() {
  const gpu = machine.value?.gpu;
  if (!gpu) return html`<span>GPU unknown</span>`;
  return html`<span>GPU <strong>${percent(gpu.utilization)}</strong></span>
    <span><strong>${temperature(gpu.temperature)}</strong></span><span><strong>${power(gpu.power)}</strong></span>`;
}

function RequestFacts() {
  const total = inFlight.value?.total;
  if (total === undefined) return null;
  return html`<span><strong>${total}</strong> in flight</span><span><strong>${queue.value?.waiting ?? 0}</strong> waiting</span>`;
}

function Banners() {
  const notices = machine.value?.notices ?? [];
  const isLost = connection.value === "offline" || connection.value === "stale";
  return html`${isLost && machine.value && html`<div class="banner warn" role="status"><${Icon} name="alert" />${connectionProblem.value}</div>`}
    ${connection.value === "refused" && !keyProblem.value && html`<div class="banner bad" role="alert"><${Icon} name="alert" />${connectionProblem.value}</div>`}
    ${notices.map(
      (notice) => html`<div key=${notice.text} class="banner ${notice.level}" role="status"><${Icon} name="alert" /><span>${notice.text}</span></div>`,
    )}`;
}

function KeyDialog() {
  const key = useSignal("");
  const use = (event) => {
    event.preventDefault();
    if (key.value.trim()) setApiKey(key.value.trim());
  };
  const actions = html`<${Button} kind="primary" type="submit" form="key-form">Use this key</${Button}>`;
  return html`<${Dialog} title="This sparkd needs an API key" onClose=${() => (keyProblem.value = "")} actions=${actions}>
    <form id="key-form" onSubmit=${use}>
      <p>${keyProblem.value}</p>
      <${TextField} label="API key" type="password" autocomplete="off" value=${key.value} onInput=${(text) => (key.value = text)}
        hint="It needs the role view or operate, and stays in this tab." />
    </form>
  </${Dialog}>`;
}
