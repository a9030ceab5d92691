// The AI SDK with its three providers, and with its own timeout between parts that mean something.
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { jsonSchema, streamText, tool } from "ai";
import { DESCRIPTION, NAME, PARAMETERS, describe, runRounds } from "./rounds.mjs";

const tools = { [NAME]: tool({ description: DESCRIPTION, inputSchema: jsonSchema(PARAMETERS) }) };

async function ask(model, target, timeout) {
  const outcome = { text: "", reasoning: "", tools: [], usage: null };
  let failure = null;
  const options = { model, prompt: target.prompt, tools, maxRetries: 0, timeout, onError() {} };
  for await (const part of streamText(options).fullStream) {
    if (part.type === "text-delta") outcome.text += part.text;
    if (part.type === "reasoning-delta") outcome.reasoning += part.text;
    if (part.type === "tool-call") outcome.tools.push([part.toolName, part.input]);
    if (part.type === "finish") outcome.usage = [part.totalUsage.inputTokens, part.totalUsage.outputTokens];
    if (part.type === "error") failure ??= part.error;
    if (part.type === "abort") failure ??= new Error("aborted: " + (part.reason ?? ""));
  }
  return failure ? { error: describe(failure) } : outcome;
}

function compatible(target) {
  const provider = { name: "sparkd", baseURL: `${target.url}/v1`, apiKey: "none", includeUsage: true };
  return createOpenAICompatible(provider)(target.model);
}

await runRounds({
  "openai-compatible": (target) => ask(compatible(target), target),
  "openai-compatible, chunkMs": (target) =>
    ask(compatible(target), target, {
      firstChunkMs: target.chunk_timeout * 1000,
      chunkMs: target.chunk_timeout * 1000,
    }),
  "openai, responses": (target) =>
    ask(createOpenAI({ baseURL: `${target.url}/v1`, apiKey: "none" }).responses(target.model), target),
  anthropic: (target) =>
    ask(createAnthropic({ baseURL: `${target.url}/v1`, apiKey: "none" })(target.model), target),
});
