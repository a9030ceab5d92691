// The library of Ollama for JavaScript: the first prompt is streamed, the second is not.
// Arguments: the folder with the library, sparkd's address, the model, the key.

import path from "node:path";
import { pathToFileURL } from "node:url";

const [folder, host, model, key] = process.argv.slice(2);
const { Ollama } = await import(pathToFileURL(path.join(folder, "ollama", "dist", "index.mjs")));
const client = new Ollama({ host, headers: { Authorization: `Bearer ${key}` } });
const parameters = { type: "object", properties: { path: { type: "string" } }, required: ["path"] };
const tools = [{ type: "function", function: { name: "read_note", description: "Reads a note.", parameters } }];
const messages = [{ role: "system", content: "Be brief." }];

async function ask(stream) {
  const answer = await client.chat({ model, messages, tools, think: true, stream });
  const message = { role: "assistant", content: "", thinking: "", tool_calls: [] };
  let last;
  for await (const part of stream ? answer : [answer]) {
    if (last?.done) throw new Error("a part after the last one");
    last = part;
    message.content += part.message.content;
    message.thinking += part.message.thinking ?? "";
    message.tool_calls.push(...(part.message.tool_calls ?? []));
  }
  if (!last.done || !last.eval_count || !last.total_duration) throw new Error(JSON.stringify(last));
  return message;
}

for (const [prompt, stream] of [["Read the note", true], ["What did the note say", false]]) {
  messages.push({ role: "user", content: prompt });
  for (;;) {
    const message = await ask(stream);
    messages.push(message);
    if (message.tool_calls.length === 0) {
      console.log(message.content);
      break;
    }
    for (const call of message.tool_calls) {
      const content = `${call.function.arguments.path}: The place is the lighthouse.`;
      messages.push({ role: "tool", tool_name: call.function.name, content });
    }
  }
}
