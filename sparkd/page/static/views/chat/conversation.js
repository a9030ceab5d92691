/** The conversation of this tab. It stays in the tab's session storage, and an answer continues while another view is shown. */

import { batch, computed, effect, signal } from "../../lib/html.js";
import { toast } from "../../lib/ui.js";
import { newAnswer, readAnswer } from "./answers.js";
import { buildBody } from "./requests.js";

const STORED = "sparkd.chat";
const SAVE_AFTER = 400;

export const PARAMETERS = { temperature: "", top_p: "", top_k: "", max_tokens: "", seed: "", presence_penalty: "", reasoning_effort: "" };
const EMPTY = { model: "", system: "", parameters: PARAMETERS, tools: "", extra: "" };

/** What the next request is made of. */
export const settings = signal({ ...EMPTY, ...load().settings });
/** Messages of the user, answers and results of tools, oldest first. */
export const turns = signal(load().turns ?? []);
/** The text and the images that are not sent yet. */
export const draft = signal({ text: "", images: [] });

const running = signal(null);
/** Whether an answer is coming. */
export const isRunning = computed(() => running.value !== null);

let last = turns.value.reduce((highest, { id }) => Math.max(highest, id), 0);
let saving = null;
effect(() => save({ settings: settings.value, turns: turns.value }));

/** Change some settings. */
export function change(changes) {
  settings.value = { ...settings.value, ...changes };
}

/** Send what the draft has. */
export async function sendDraft() {
  const { text, images } = draft.value;
  if (isRunning.value || (!text.trim() && !images.length)) return;
  const turn = { id: ++last, role: "user", text, images };
  if (await ask([...turns.value, turn])) draft.value = { text: "", images: [] };
}

/** Ask again for an answer, which is replaced with everything after it. */
export function askAgain(id) {
  const index = turns.value.findIndex((turn) => turn.id === id);
  if (index >= 0 && !isRunning.value) ask(turns.value.slice(0, index));
}

/** Take a message of the user back into the draft, with everything after it left out. */
export function editTurn(id) {
  const index = turns.value.findIndex((turn) => turn.id === id);
  if (index < 0 || isRunning.value) return;
  const { text, images } = turns.value[index];
  batch(() => {
    draft.value = { text, images };
    turns.value = turns.value.slice(0, index);
  });
}

/** Send the results of an answer's tool calls, by the calls' ids. */
export function sendResults(answer, results) {
  const added = answer.calls.map((call) => ({ id: ++last, role: "tool", callId: call.id, name: call.name, text: results[call.id] ?? "" }));
  return ask([...turns.value, ...added]);
}

/** End the answer that is coming; what has come stays. */
export function stop() {
  running.value?.abort();
}

/** Begin an empty conversation with the same settings. */
export function clear() {
  stop();
  turns.value = [];
}

/** The body that these turns are sent as. Throws an Error with a sentence for invalid settings. */
export const bodyOf = (before) => buildBody(settings.value, before);

/** Ask for an answer to these turns; whether the request could be made. */
async function ask(before) {
  let body;
  try {
    if (!settings.value.model) throw new Error("Choose a model first.");
    body = bodyOf(before);
  } catch (error) {
    toast(error.message, "bad");
    return false;
  }
  const abort = new AbortController();
  const answer = newAnswer(++last, settings.value.model);
  batch(() => {
    running.value = abort;
    turns.value = [...before, answer];
  });
  readAnswer(answer, body, abort.signal, replace).finally(() => {
    if (running.value === abort) running.value = null;
  });
  return true;
}

function replace(changed) {
  turns.value = turns.value.map((turn) => (turn.id === changed.id ? changed : turn));
}

function load() {
  try {
    const stored = JSON.parse(sessionStorage.getItem(STORED) ?? "{}");
    const kept = (stored.turns ?? []).map((turn) => (turn.ended === null ? { ...turn, state: "stopped", ended: turn.began } : turn));
    return { settings: stored.settings ?? {}, turns: kept };
  } catch {
    return {};
  }
}

/** Soon, and without the images if they do not fit. */
function save(conversation) {
  clearTimeout(saving);
  saving = setTimeout(() => {
    const small = { ...conversation, turns: conversation.turns.map((turn) => (turn.images ? { ...turn, images: [] } : turn)) };
    if (!store(conversation)) store(small);
  }, SAVE_AFTER);
}

function store(conversation) {
  try {
    sessionStorage.setItem(STORED, JSON.stringify(conversation));
    return true;
  } catch {
    return false;
  }
}
