/** The frame of views: their head, cards, figures, tabs. */

import { html, useId, useRef } from "../html.js";

/** The head of a view: its only h1, what it is for, and its actions. */
export function ViewHead({ title, actions, children }) {
  return html`<div class="view-head">
    <h1>${title}</h1>${actions && html`<div class="actions row">${actions}</div>`}${children && html`<p>${children}</p>`}
  </div>`;
}

/** A card with a title. `flush`: its content reaches the edges, like a table. */
export function Card({ title, note, actions, flush = false, class: extra = "", children }) {
  const id = useId();
  return html`<section class="card ${extra}" aria-labelledby=${title ? id : null}>
    ${title && html`<header>
      <h2 id=${id}>${title}</h2>${note && html`<span class="note">${note}</span>`}${actions && html`<div class="actions row">${actions}</div>`}
    </header>`}
    <div class="card-body ${flush ? "flush" : ""}">${children}</div>
  </section>`;
}

/** Figures next to each other, in a list of terms. */
export function Figures({ children }) {
  return html`<div class="grid">${children}</div>`;
}

/** One figure with its name; `unit` is small beside it, `note` below it. */
export function Figure({ name, value, unit, note }) {
  return html`<dl class="figure">
    <div><dt>${name}</dt><dd>${value}${unit && html` <small>${unit}</small>`}</dd>${note && html`<dd class="note">${note}</dd>`}</div>
  </dl>`;
}

/** Names and values; `facts` are [name, value], without those whose value is undefined. */
export function Facts({ facts }) {
  return html`<dl class="facts">
    ${facts.filter(([, value]) => value !== undefined).map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}
  </dl>`;
}

/** Short labels. */
export function Tags({ tags }) {
  return tags.map((tag) => html`<span key=${tag} class="tag">${tag}</span> `);
}

/** Tabs, by the pattern of WAI-ARIA. `tabs` are [value, text]; `children` is the content of the chosen one. */
export function Tabs({ label, tabs, value, onChange, children }) {
  const id = useId();
  const list = useRef(null);

  function move(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const next = (tabs.findIndex(([each]) => each === value) + step + tabs.length) % tabs.length;
    onChange(tabs[next][0]);
    list.current.children[next].focus();
  }

  return html`<div class="stack">
    <div class="tabs" role="tablist" aria-label=${label} ref=${list} onKeyDown=${move}>
      ${tabs.map(
        ([each, text]) => html`<button key=${each} type="button" role="tab" id="${id}-${each}" aria-controls="${id}-panel"
          aria-selected=${each === value ? "true" : "false"} tabindex=${each === value ? 0 : -1} onClick=${() => onChange(each)}>${text}</button>`,
      )}
    </div>
    <div role="tabpanel" id="${id}-panel" aria-labelledby="${id}-${value}" tabindex="0">${children}</div>
  </div>`;
}
