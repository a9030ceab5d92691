// LangChain.js: it loses tool calls if the first chunk has no role.
import { ChatOpenAI } from "@langchain/openai";
import { CHAT_TOOLS, runRounds } from "./rounds.mjs";

async function ask(model, target) {
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

const build = (target, fields) =>
  new ChatOpenAI({
    configuration: { baseURL: `${target.url}/v1` },
    apiKey: "none",
    model: target.model,
    maxRetries: 0,
    ...fields,
  });

await runRounds({
  chat: (target) => ask(build(target, { useResponsesApi: false }), target),
  responses: (target) => ask(build(target, { useResponsesApi: true }), target),
});
