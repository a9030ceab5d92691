// The OpenAI library: raw streams and its helpers.
import OpenAI from "openai";
import { CHAT_TOOLS, DESCRIPTION, NAME, PARAMETERS, runRounds } from "./rounds.mjs";

const connect = (target) => new OpenAI({ baseURL: `${target.url}/v1`, apiKey: "none", maxRetries: 0 });
const buildChat = (target) => ({
  model: target.model,
  messages: [{ role: "user", content: target.prompt }],
  tools: CHAT_TOOLS,
  stream_options: { include_usage: true },
});
const usageOf = (usage) => (usage ? [usage.prompt_tokens, usage.completion_tokens] : null);
const parse = (call) => [call.name, JSON.parse(call.arguments)];

async function chat(target) {
  const calls = {};
  const ids = new Set();
  const outcome = { role: "", text: "", reasoning: "", usage: null };
  const stream = await connect(target).chat.completions.create({ ...buildChat(target), stream: true });
  for await (const chunk of stream) {
    ids.add(chunk.id);
    outcome.usage = usageOf(chunk.usage) ?? outcome.usage;
    for (const { delta } of chunk.choices) {
      outcome.role += delta.role ?? "";
      outcome.text += delta.content ?? "";
      outcome.reasoning += delta.reasoning ?? delta.reasoning_content ?? "";
      for (const call of delta.tool_calls ?? []) {
        calls[call.index] ??= { name: "", arguments: "" };
        calls[call.index].name += call.function.name ?? "";
        calls[call.index].arguments += call.function.arguments ?? "";
      }
    }
  }
  return { ...outcome, tools: Object.values(calls).map(parse), ids: ids.size };
}

async function chatHelper(target) {
  const completion = await connect(target).chat.completions.stream(buildChat(target)).finalChatCompletion();
  const { message } = completion.choices[0];
  const calls = (message.tool_calls ?? []).map((call) => parse(call.function));
  return { role: message.role, text: message.content ?? "", tools: calls, usage: usageOf(completion.usage) };
}

async function completions(target) {
  const ids = new Set();
  const outcome = { text: "", usage: null };
  const stream = await connect(target).completions.create({
    model: target.model,
    prompt: target.prompt,
    max_tokens: 5,
    stream: true,
    stream_options: { include_usage: true },
  });
  for await (const chunk of stream) {
    ids.add(chunk.id);
    outcome.usage = usageOf(chunk.usage) ?? outcome.usage;
    for (const choice of chunk.choices) outcome.text += choice.text;
  }
  return { ...outcome, ids: ids.size };
}

const buildResponse = (target) => ({
  model: target.model,
  input: target.prompt,
  tools: [{ type: "function", name: NAME, description: DESCRIPTION, parameters: PARAMETERS, strict: false }],
  store: false,
});

function summarize(response) {
  const calls = response.output.filter((item) => item.type === "function_call");
  const texts = response.output.flatMap((item) => (item.type === "message" ? item.content : []));
  return {
    text: texts.map((part) => part.text).join(""),
    tools: calls.map(parse),
    usage: [response.usage.input_tokens, response.usage.output_tokens],
  };
}

async function responses(target) {
  let last = null;
  const ids = new Set();
  const stream = await connect(target).responses.create({ ...buildResponse(target), stream: true });
  for await (const event of stream) {
    last = event.response ?? last;
    if (event.response) ids.add(event.response.id);
  }
  if (!last) return { error: { class: "no response", code: null, message: "" } };
  if (last.status === "failed") return { error: { class: "response.failed", ...last.error } };
  return { ...summarize(last), ids: ids.size };
}

async function responsesHelper(target) {
  const last = await connect(target).responses.stream(buildResponse(target)).finalResponse();
  if (last.status === "failed") return { error: { class: "response.failed", ...last.error } };
  return summarize(last);
}

await runRounds({
  chat,
  "chat, helper": chatHelper,
  completions,
  responses,
  "responses, helper": responsesHelper,
});
