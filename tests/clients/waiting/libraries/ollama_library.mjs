// Ollama's library and LangChain.js' ChatOllama.
import { ChatOllama } from "@langchain/ollama";
import { Ollama } from "ollama";
import { CHAT_TOOLS, runRounds } from "./rounds.mjs";

async function chat(target) {
  const outcome = { role: "", text: "", reasoning: "", tools: [], usage: null };
  const messages = [{ role: "user", content: target.prompt }];
  const request = { model: target.model, messages, tools: CHAT_TOOLS, stream: true };
  for await (const part of await new Ollama({ host: target.url }).chat(request)) {
    outcome.role = part.message.role;
    outcome.text += part.message.content ?? "";
    outcome.reasoning += part.message.thinking ?? "";
    for (const call of part.message.tool_calls ?? []) {
      outcome.tools.push([call.function.name, call.function.arguments]);
    }
    if (part.done) outcome.usage = [part.prompt_eval_count, part.eval_count];
  }
  return outcome;
}

async function langchain(target) {
  const model = new ChatOllama({ baseUrl: target.url, model: target.model, maxRetries: 0 });
  let total = null;
  for await (const chunk of await model.bindTools(CHAT_TOOLS).stream(target.prompt)) {
    total = total ? total.concat(chunk) : chunk;
  }
  const usage = total.usage_metadata;
  return {
    text: total.text,
    tools: (total.tool_calls ?? []).map((call) => [call.name, call.args]),
    usage: usage ? [usage.input_tokens, usage.output_tokens] : null,
  };
}

await runRounds({ chat, "LangChain.js": langchain });
