/** Messages: errors, empty places, and short ones at the corner of the page. */

import { html, signal } from "../html.js";
import { Icon } from "../icons.js";

const shown = signal([]);
let last = 0;

/** Show a message for some seconds; errors stay until they are closed. `kind`: "" or "bad". */
export function toast(text, kind = "") {
  const id = ++last;
  shown.value = [...shown.value.slice(-3), { id, text, kind }];
  if (kind !== "bad") setTimeout(() => close(id), 6000);
}

/** Show the message of an error, unless it is that of a request that was cancelled. */
export function toastError(error) {
  if (error?.name !== "AbortError") toast(error?.message ?? String(error), "bad");
}

function close(id) {
  shown.value = shown.value.filter((each) => each.id !== id);
}

/** The corner with the messages. */
export function Toasts() {
  return html`<div class="toasts" role="status">
    ${shown.value.map(
      ({ id, text, kind }) => html`<div key=${id} class="toast ${kind}">
        <${Icon} name=${kind === "bad" ? "alert" : "info"} /><span>${text}</span>
        <button type="button" class="button quiet icon small" aria-label="Close this message" onClick=${() => close(id)}>
          <${Icon} name="close" />
        </button>
      </div>`,
    )}
  </div>`;
}

/** An error where its content would be; `onRetry` adds a button. `kind`: "", "warn" or "info". */
export function ErrorBox({ error, title, onRetry, kind = "" }) {
  return html`<div class="error-box ${kind}" role="alert">
    ${title && html`<strong>${title}</strong>`}
    <span>${error?.message ?? error}</span>
    ${onRetry && html`<span><button type="button" class="button small" onClick=${onRetry}>Try again</button></span>`}
  </div>`;
}

/** A place that has nothing to show, and why. */
export function Empty({ title, children }) {
  return html`<div class="empty"><strong>${title}</strong><div>${children}</div></div>`;
}

/** What is shown until the first response has come. */
export function Loading({ what = "" }) {
  return html`<p class="loading" aria-busy="true">Loading${what && ` ${what}`}…</p>`;
}
