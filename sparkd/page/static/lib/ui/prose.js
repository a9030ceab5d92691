/** Sentences of sparkd. */

import { sentence } from "../format.js";
import { html } from "../html.js";

/** A sentence that begins with a capital letter, unless it begins with a name, with its `commands` in code. */
export function Prose({ text }) {
  return sentence(text).split("`").map((part, index) => (index % 2 ? html`<code key=${index}>${part}</code>` : part));
}
