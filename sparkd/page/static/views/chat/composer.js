/** Where a message is written: text, images by file, paste and drop, send and stop. */

import { html, useEffect, useRef } from "../../lib/html.js";
import { Icon } from "../../lib/icons.js";
import { Button, IconButton, toastError } from "../../lib/ui.js";
import { draft, isRunning, sendDraft, stop } from "./conversation.js";
import { readImages } from "./images.js";

/** The field with its buttons. `takesImages`: false if the model is known to read only text. */
export function Composer({ takesImages }) {
  const field = useRef(null);
  const { text, images } = draft.value;
  useEffect(() => field.current?.focus(), []);

  function keyDown(event) {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      sendDraft();
    } else if (event.key === "Escape" && isRunning.value) stop();
  }

  return html`<form class="composer" aria-label="New message" onSubmit=${submit} onDragOver=${allowDrop} onDrop=${drop}>
    ${images.length > 0 && html`<${Attached} takesImages=${takesImages} />`}
    <label class="visually-hidden" for="chat-text">Message</label>
    <textarea id="chat-text" rows="2" ref=${field} value=${text} placeholder="Write a message. Enter sends it, Shift+Enter begins a new line."
      onInput=${(event) => (draft.value = { ...draft.value, text: event.target.value })} onKeyDown=${keyDown} onPaste=${paste} />
    <div class="composer-foot">
      <${ImageButton} />
      <span class="note">${takesImages === false ? "This model reads only text." : ""}</span>
      ${isRunning.value
        ? html`<${Button} icon="stop" onClick=${stop}>Stop</${Button}>`
        : html`<${Button} kind="primary" icon="send" type="submit" disabled=${!text.trim() && !images.length}>Send</${Button}>`}
    </div>
  </form>`;
}

function submit(event) {
  event.preventDefault();
  sendDraft();
}

function ImageButton() {
  const input = useRef(null);
  const choose = (event) => {
    add(event.target.files);
    event.target.value = "";
  };
  return html`<${IconButton} icon="image" label="Add an image" size="" onClick=${() => input.current.click()} />
    <input ref=${input} type="file" accept="image/*" multiple hidden aria-label="Images" onChange=${choose} />`;
}

function Attached({ takesImages }) {
  const remove = (url) => (draft.value = { ...draft.value, images: draft.value.images.filter((image) => image.url !== url) });
  return html`<ul class="attached" aria-label="Images of this message">
    ${draft.value.images.map(({ name, url }) => html`<li key=${url}>
      <img src=${url} alt=${name || "image"} />
      <button type="button" class="button icon small" aria-label="Remove ${name || "the image"}" onClick=${() => remove(url)}><${Icon} name="close" size=${12} /></button>
    </li>`)}
    ${takesImages === false && html`<li class="note">This model reads only text, so sparkd may reject the images.</li>`}
  </ul>`;
}

async function add(files) {
  try {
    const images = await readImages(files);
    draft.value = { ...draft.value, images: [...draft.value.images, ...images] };
  } catch (error) {
    toastError(error);
  }
}

function paste(event) {
  if (!event.clipboardData.files.length) return;
  event.preventDefault();
  add(event.clipboardData.files);
}

function allowDrop(event) {
  if (event.dataTransfer.types.includes("Files")) event.preventDefault();
}

function drop(event) {
  if (!event.dataTransfer.files.length) return;
  event.preventDefault();
  add(event.dataTransfer.files);
}
