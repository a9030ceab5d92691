/** Colours of a terminal (ECMA-48, SGR) as classes. Other control sequences are left out. */

// sparkd shows the escape character of an engine's output as its picture, so that it does nothing in a terminal.
// eslint-disable-next-line no-control-regex
const SEQUENCE = /[\u001b\u241b](?:\[([0-9;:]*)([@-~])|\][^\u0007\u2407]*(?:\u0007|\u2407)?|[()][A-Z0-9]|[=>78])/g;

const NAMES = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];
const STYLES = { 1: "bold", 2: "dim", 3: "italic", 4: "underline", 9: "struck" };
const ENDS = { 22: ["bold", "dim"], 23: ["italic"], 24: ["underline"], 29: ["struck"] };

/** The text without any sequence. */
export function stripAnsi(text) {
  return hasAnsi(text) ? text.replace(SEQUENCE, "") : text;
}

const hasAnsi = (text) => text.includes("\u001b") || text.includes("\u241b");

/** The text as [text, class] pieces; "" for none. */
export function parseAnsi(text) {
  if (!hasAnsi(text)) return [[text, ""]];
  const pieces = [];
  const style = { color: "", set: new Set() };
  let from = 0;
  for (const match of text.matchAll(SEQUENCE)) {
    add(pieces, text.slice(from, match.index), style);
    from = match.index + match[0].length;
    if (match[2] === "m") apply(style, match[1].split(/[;:]/).map(Number));
  }
  add(pieces, text.slice(from), style);
  return pieces;
}

function add(pieces, text, { color, set }) {
  if (text) pieces.push([text, [color, ...set].filter(Boolean).map((name) => `sgr-${name}`).join(" ")]);
}

function apply(style, codes) {
  for (let index = 0; index < codes.length; index += 1) {
    const code = codes[index];
    if (code === 0) reset(style);
    else if (code in STYLES) style.set.add(STYLES[code]);
    else if (code in ENDS) ENDS[code].forEach((name) => style.set.delete(name));
    else if (code === 39) style.color = "";
    else if (code >= 30 && code <= 37) style.color = NAMES[code - 30];
    else if (code >= 90 && code <= 97) style.color = NAMES[code - 90];
    else if (code === 38 || code === 48) index += skip(style, codes, index);
  }
}

function reset(style) {
  style.color = "";
  style.set.clear();
}

/** `38;5;N` and `38;2;R;G;B`: of 256 colours, the first 16 have names; the others are shown as text. */
function skip(style, codes, index) {
  const isIndexed = codes[index + 1] === 5;
  if (codes[index] === 38) style.color = isIndexed && codes[index + 2] < 16 ? NAMES[codes[index + 2] % 8] : "";
  return isIndexed ? 2 : 4;
}
