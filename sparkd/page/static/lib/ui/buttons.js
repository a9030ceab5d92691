/** Buttons. */

import { html, useState } from "../html.js";
import { Icon } from "../icons.js";
import { toastError } from "./messages.js";

/**
 * A button. `kind`: "", "primary", "danger" or "quiet". While the promise of `onClick` is pending the button is busy; what
 * it throws is shown as a message.
 */
export function Button({ kind = "", size = "", icon, busyText, onClick, disabled, children, ...rest }) {
  const [isBusy, setBusy] = useState(false);

  async function click(event) {
    if (isBusy || disabled) return;
    setBusy(true);
    try {
      await onClick?.(event);
    } catch (error) {
      toastError(error);
    } finally {
      setBusy(false);
    }
  }

  return html`<button type="button" class="button ${kind} ${size}" onClick=${click} aria-disabled=${disabled || isBusy ? "true" : null}
    aria-busy=${isBusy ? "true" : null} ...${rest}>
    ${icon && html`<${Icon} name=${icon} />`}${isBusy && busyText ? busyText : children}
  </button>`;
}

/** A button that is only an icon; `label` says what it does. */
export function IconButton({ icon, label, size = "small", kind = "quiet", ...rest }) {
  return html`<${Button} kind="${kind} icon" size=${size} icon=${icon} aria-label=${label} title=${label} ...${rest} />`;
}

/** A link that looks like a button. */
export function LinkButton({ kind = "", size = "", icon, children, ...rest }) {
  return html`<a class="button ${kind} ${size}" ...${rest}>${icon && html`<${Icon} name=${icon} />`}${children}</a>`;
}

/** Copies `text`, or what the function `text` returns. */
export function Copy({ text, label = "Copy", size = "small" }) {
  const [isDone, setDone] = useState(false);

  async function copy() {
    await navigator.clipboard.writeText(typeof text === "function" ? text() : text);
    setDone(true);
    setTimeout(() => setDone(false), 1500);
  }

  return html`<${Button} kind="quiet" size=${size} icon=${isDone ? "check" : "copy"} onClick=${copy}>
    <span aria-live="polite">${isDone ? "Copied" : label}</span>
  </${Button}>`;
}

/** One of several choices next to each other. `choices` are [value, text]. */
export function Segments({ label, value, choices, onChange }) {
  return html`<div class="segments" role="group" aria-label=${label}>
    ${choices.map(
      ([each, text]) =>
        html`<button type="button" key=${each} aria-pressed=${each === value ? "true" : "false"} onClick=${() => onChange(each)}>${text}</button>`,
    )}
  </div>`;
}
