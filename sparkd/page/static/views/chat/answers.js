/** One answer: sends the request, and reads the stream of its response into a turn. */

import { ApiError, readError, readEvents, send } from "../../lib/api.js";

/** Seconds of a stream below which its speed says nothing. */
const SHORTEST = 0.1;
/** Milliseconds between two updates of what is shown. */
const FRAME = 60;

/** A new, empty answer. Points in time are milliseconds of the browser's clock. */
export function newAnswer(id, model) {
  return {
    id,
    role: "assistant",
    model,
    servedBy: null,
    text: "",
    reasoning: "",
    calls: [],
    state: "waiting",
    problem: "",
    finish: null,
    rewrites: [],
    usage: null,
    requestId: `page-${crypto.randomUUID()}`,
    began: Date.now(),
    first: null,
    ended: null,
  };
}

/** Send `body`, and call `onChange(answer)` with each new version of the answer. Returns the last one. */
export async function readAnswer(answer, body, abort, onChange) {
  const draft = { ...answer };
  let timer = null;
  const show = () => {
    timer = null;
    onChange({ ...draft, calls: draft.calls.map((call) => ({ ...call })) });
  };
  const showSoon = () => (timer ??= setTimeout(show, FRAME));
  try {
    await receive(draft, body, abort, showSoon);
    draft.state = "done";
  } catch (error) {
    draft.state = abort.aborted ? "stopped" : "failed";
    draft.problem = abort.aborted ? "" : describe(error);
  }
  clearTimeout(timer);
  draft.ended = Date.now();
  show();
  return draft;
}

async function receive(draft, body, abort, onChange) {
  const url = new URL("../v1/chat/completions", document.baseURI);
  const response = await send("POST", url, { body, signal: abort, headers: { "x-request-id": draft.requestId } });
  draft.rewrites = (response.headers.get("x-sparkd-rewrites") ?? "").split(", ").filter(Boolean);
  draft.servedBy = response.headers.get("x-sparkd-served-by");
  if (!response.ok) throw await readError(response);
  let isComplete = false;
  await readEvents(response, ({ data }) => {
    if (data === "[DONE]") isComplete = true;
    else apply(draft, JSON.parse(data));
    onChange();
  });
  if (!isComplete) throw new ApiError("The response ended early: the engine has stopped, or the connection was closed.");
}

function apply(draft, chunk) {
  if (chunk.error) throw new ApiError(chunk.error.message ?? "The engine reported an error.", { code: chunk.error.code ?? "" });
  if (chunk.usage) draft.usage = readUsage(chunk.usage);
  const choice = chunk.choices?.[0];
  if (!choice) return;
  const { text, thought, calls } = readDelta(choice.delta ?? {});
  if (text || thought || calls.length) draft.first ??= Date.now();
  if (draft.first) draft.state = "streaming";
  draft.text += text;
  draft.reasoning += thought;
  for (const call of calls) addCall(draft.calls, call);
  draft.finish = choice.finish_reason ?? draft.finish;
}

/** Engines have two names for the reasoning. */
function readDelta(delta) {
  return { text: delta.content ?? "", thought: delta.reasoning ?? delta.reasoning_content ?? "", calls: delta.tool_calls ?? [] };
}

/** Tool calls come in pieces: the name first, then the text of the arguments. */
function addCall(calls, { index = 0, id, function: piece }) {
  calls[index] ??= { id: id ?? `call-${index}`, name: "", text: "" };
  const call = calls[index];
  if (id) call.id = id;
  call.name += piece?.name ?? "";
  call.text += piece?.arguments ?? "";
}

function readUsage(usage) {
  return {
    in: usage.prompt_tokens ?? null,
    cached: usage.prompt_tokens_details?.cached_tokens ?? null,
    out: usage.completion_tokens ?? null,
  };
}

function describe(error) {
  const retry = error.retryAfter ? ` Try again in ${error.retryAfter} s.` : "";
  return `${error.message}${error.message.includes("Try again") ? "" : retry}`;
}

/** Tokens a second from the first token to the end, null if it is unknown. */
export function speedOf({ usage, first, ended }) {
  const seconds = first && ended ? (ended - first) / 1000 : 0;
  return usage?.out > 1 && seconds >= SHORTEST ? (usage.out - 1) / seconds : null;
}
