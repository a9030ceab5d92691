/** Texts that were edited and not written yet. They stay in this tab until they are written or discarded. */

import { signal } from "../../lib/html.js";

const PREFIX = "sparkd.draft.";
/** Changes whenever a draft appears or goes. */
const turn = signal(0);

/** The draft of a file: {text, digest}, where `digest` is that of the text that was edited; null for none. */
export function readDraft(name) {
  try {
    return JSON.parse(sessionStorage.getItem(PREFIX + name));
  } catch {
    return null;
  }
}

/** Keep a draft; null removes it. */
export function keepDraft(name, draft) {
  const before = sessionStorage.getItem(PREFIX + name) !== null;
  try {
    if (draft) sessionStorage.setItem(PREFIX + name, JSON.stringify(draft));
    else sessionStorage.removeItem(PREFIX + name);
  } catch {
    return; // the browser's storage is full: the text is still in the editor
  }
  if (before !== Boolean(draft)) turn.value += 1;
}

/** Whether a file has a draft. */
export function hasDraft(name) {
  return turn.value >= 0 && sessionStorage.getItem(PREFIX + name) !== null;
}
