/** Fields of forms. Each has a visible label, or one for screen readers (`hideLabel`). */

import { html, useId } from "../html.js";

/** A field around any input: `children` is a function of the attributes that the input needs. */
export function Field({ label, hideLabel = false, error, hint, class: extra = "", children }) {
  const id = useId();
  const about = error || hint ? `${id}-about` : null;
  return html`<div class="field ${extra}">
    <label for=${id} class=${hideLabel ? "visually-hidden" : ""}>${label}</label>
    ${children({ id, "aria-describedby": about, "aria-invalid": error ? "true" : null })}
    ${about && html`<span id=${about} class=${error ? "error" : "note"}>${error ?? hint}</span>`}
  </div>`;
}

/** A line of text. */
export function TextField({ label, hideLabel, error, hint, value, onInput, class: extra, type = "text", ...rest }) {
  return html`<${Field} ...${{ label, hideLabel, error, hint, class: extra }}>
    ${(attributes) => html`<input class="input" type=${type} value=${value} onInput=${(event) => onInput(event.target.value)} ...${attributes} ...${rest} />`}
  </${Field}>`;
}

/** A line of text to search for. */
export function SearchField(props) {
  return html`<${TextField} type="search" spellcheck="false" autocomplete="off" class="grow" ...${props} />`;
}

/** Several lines of text. */
export function TextArea({ label, hideLabel, error, hint, value, onInput, class: extra, inputClass = "", ...rest }) {
  return html`<${Field} ...${{ label, hideLabel, error, hint, class: extra }}>
    ${(attributes) => html`<textarea class="input ${inputClass}" value=${value} onInput=${(event) => onInput(event.target.value)} ...${attributes} ...${rest} />`}
  </${Field}>`;
}

/** One of several. `choices` are [value, text]. */
export function Select({ label, hideLabel, error, hint, value, choices, onChange, class: extra, ...rest }) {
  return html`<${Field} ...${{ label, hideLabel, error, hint, class: extra }}>
    ${(attributes) => html`<select class="input" value=${value} onChange=${(event) => onChange(event.target.value)} ...${attributes} ...${rest}>
      ${choices.map(([each, text]) => html`<option key=${each} value=${each}>${text}</option>`)}
    </select>`}
  </${Field}>`;
}

/** A box to check. */
export function Check({ label, checked, onChange, ...rest }) {
  return html`<label class="row check"><input type="checkbox" checked=${checked} onChange=${(event) => onChange(event.target.checked)} ...${rest} />${label}</label>`;
}
