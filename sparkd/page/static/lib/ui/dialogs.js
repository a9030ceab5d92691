/** Dialogs and the panel at the side, both as the browser's own <dialog>. */

import { html, render, useEffect, useId, useRef } from "../html.js";
import { Button, IconButton } from "./buttons.js";

/** A dialog for as long as it is rendered. `onClose` is called for Escape and the close button. */
export function Dialog({ title, onClose, class: extra = "", actions, children }) {
  const element = useRef(null);
  const id = useId();
  useEffect(() => {
    element.current.showModal();
    return () => element.current?.close();
  }, []);

  function cancel(event) {
    event.preventDefault();
    onClose();
  }

  function click(event) {
    if (event.target === element.current && extra.includes("drawer")) onClose();
  }

  return html`<dialog class=${extra} ref=${element} aria-labelledby=${id} onCancel=${cancel} onClick=${click}>
    <div class="stack">
      <div class="row spread"><h2 id=${id}>${title}</h2><${IconButton} icon="close" label="Close" onClick=${onClose} /></div>
      ${children}
      ${actions && html`<div class="actions">${actions}</div>`}
    </div>
  </dialog>`;
}

/** The panel at the side, for the details of one thing. */
export function Drawer(props) {
  return html`<${Dialog} class="drawer" ...${props} />`;
}

/** Ask before an action; resolves to whether the user agrees. `content` may be a template. */
export function confirm({ title, content, action = "Continue", kind = "primary" }) {
  const place = document.createElement("div");
  document.body.append(place);
  return new Promise((resolve) => {
    const finish = (answer) => {
      render(null, place);
      place.remove();
      resolve(answer);
    };
    const actions = html`<${Button} onClick=${() => finish(false)}>Cancel</${Button}>
      <${Button} kind=${kind} onClick=${() => finish(true)} autofocus>${action}</${Button}>`;
    render(html`<${Dialog} title=${title} onClose=${() => finish(false)} actions=${actions}><div>${content}</div></${Dialog}>`, place);
  });
}
