// The Anthropic library: a raw stream and its helper.
import Anthropic from "@anthropic-ai/sdk";
import { DESCRIPTION, NAME, PARAMETERS, runRounds } from "./rounds.mjs";

const connect = (target) => new Anthropic({ baseURL: target.url, apiKey: "none", maxRetries: 0 });
const buildRequest = (target) => ({
  model: target.model,
  max_tokens: 100,
  messages: [{ role: "user", content: target.prompt }],
  tools: [{ name: NAME, description: DESCRIPTION, input_schema: PARAMETERS }],
});

async function messages(target) {
  const blocks = [];
  let message = null;
  let output = 0;
  for await (const event of await connect(target).messages.create({ ...buildRequest(target), stream: true })) {
    if (event.type === "message_start") message = event.message;
    if (event.type === "content_block_start") blocks[event.index] = { ...event.content_block, added: "" };
    if (event.type === "content_block_delta") {
      const { delta } = event;
      blocks[event.index].added += delta.text ?? delta.thinking ?? delta.partial_json ?? "";
    }
    if (event.type === "message_delta") output = event.usage.output_tokens;
  }
  const join = (type) => blocks.filter((block) => block.type === type).map((block) => block.added).join("");
  const calls = blocks.filter((block) => block.type === "tool_use");
  return {
    role: message.role,
    text: join("text"),
    reasoning: join("thinking"),
    tools: calls.map((block) => [block.name, JSON.parse(block.added)]),
    usage: [message.usage.input_tokens, output],
  };
}

async function messagesHelper(target) {
  const message = await connect(target).messages.stream(buildRequest(target)).finalMessage();
  const calls = message.content.filter((block) => block.type === "tool_use");
  return {
    role: message.role,
    text: message.content.map((block) => block.text ?? "").join(""),
    tools: calls.map((block) => [block.name, block.input]),
    usage: [message.usage.input_tokens, message.usage.output_tokens],
  };
}

await runRounds({ messages, "messages, helper": messagesHelper });
