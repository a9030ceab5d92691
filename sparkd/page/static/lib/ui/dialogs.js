/** Dialogs and the panel at the side, both as the browser's own <dialog>. */

import { html, signal, useEffect, useId, useRef } from "../html.js";
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

const questions = signal([]);
let last = 0;

/** Ask before an action; resolves to whether the user agrees. `content` may be a template. */
export function confirm({ title, content, action = "Continue", kind = "primary" }) {
  return new Promise((resolve) => {
    const id = ++last;
    const finish = (answer) => {
      questions.value = questions.value.filter((each) => each.id !== id);
      resolve(answer);
    };
    questions.value = [...questions.value, { id, title, content, action, kind, finish }];
  });
}

/** The place of the dialogs of `confirm`. In the tree of the page, because ids are unique within one tree only. */
export function Questions() {
  return questions.value.map(({ id, title, content, action, kind, finish }) => {
    const actions = html`<${Button} onClick=${() => finish(false)}>Cancel</${Button}>
      <${Button} kind=${kind} onClick=${() => finish(true)} autofocus>${action}</${Button}>`;
    return html`<${Dialog} key=${id} title=${title} onClose=${() => finish(false)} actions=${actions}><div>${content}</div></${Dialog}>`;
  });
}
