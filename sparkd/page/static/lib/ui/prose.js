/** Sentences of sparkd. */

import { html } from "../html.js";

/** A sentence that begins with a capital letter, unless it begins with the name sparkd, with its `commands` in code. */
export function Prose({ text }) {
  const whole = text.startsWith("sparkd ") ? text : text.charAt(0).toUpperCase() + text.slice(1);
  return whole.split("`").map((part, index) => (index % 2 ? html`<code key=${index}>${part}</code>` : part));
}
