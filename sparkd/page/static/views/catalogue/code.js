/** A text area with line numbers, colours and marks of problems. The text area is on top of its coloured picture. */

import { html, useEffect, useMemo } from "../../lib/html.js";
import { tokenize } from "./toml.js";

/** Above this many lines, the text is not coloured: it must stay quick to type in. */
const COLOURED_LINES = 3000;

/**
 * The editor. `area` is a ref of the text area. `problems` are {line, column, message}. `onInput(text)`; `onCaret(position)`
 * after each movement. `describedBy` is the id of the list of problems.
 */
export function Code({ area, label, text, problems, readOnly, onInput, onCaret, onSave, describedBy }) {
  const lines = useMemo(() => paint(text), [text]);
  const marked = useMemo(() => new Map(problems.filter((each) => each.line).map((each) => [each.line, each])), [problems]);
  useEffect(() => {
    if (area.current && area.current.value !== text) area.current.value = text;
  }, [text]);

  function press(event) {
    if ((event.ctrlKey || event.metaKey) && event.key === "s") {
      event.preventDefault();
      onSave?.();
    }
  }

  const caret = (event) => onCaret?.(event.target.selectionStart);
  return html`<div class="code-scroll">
    <div class="code-inner">
      <div class="code-gutter" aria-hidden="true">
        ${lines.map((_, index) => html`<span key=${index} class=${marked.has(index + 1) ? "bad" : ""} title=${marked.get(index + 1)?.message}>${index + 1}</span>`)}
      </div>
      <div class="code-text">
        <pre class="code-paint" aria-hidden="true">${lines.map((tokens, index) => html`<${Line} key=${index} tokens=${tokens} isMarked=${marked.has(index + 1)} />`)}</pre>
        <textarea ref=${area} class="code-area" aria-label=${label} spellcheck=${false} autocomplete="off" autocapitalize="off" wrap="off"
          readonly=${readOnly} defaultValue=${text} aria-invalid=${problems.length ? "true" : null} aria-describedby=${problems.length ? describedBy : null}
          onInput=${(event) => onInput(event.target.value)} onKeyDown=${press} onKeyUp=${caret} onClick=${caret} onFocus=${caret} />
      </div>
    </div>
  </div>`;
}

function Line({ tokens, isMarked }) {
  return html`<span class="code-line ${isMarked ? "bad" : ""}">${tokens.map(([kind, text]) => (kind ? html`<span class="t-${kind}">${text}</span>` : text))}${"\n"}</span>`;
}

function paint(text) {
  const lines = text.split("\n");
  return lines.length > COLOURED_LINES ? lines.map((line) => [["", line]]) : tokenize(text);
}

/** Put the caret at a line and column, and show it. */
export function showPlace(area, line, column = 1) {
  const lines = area.value.split("\n");
  const at = lines.slice(0, line - 1).reduce((sum, each) => sum + each.length + 1, 0) + column - 1;
  area.focus({ preventScroll: true });
  area.setSelectionRange(at, at);
  const height = area.clientHeight / Math.max(1, lines.length);
  const scroller = area.closest(".code-scroll");
  scroller.scrollTop = Math.max(0, (line - 5) * height);
}
