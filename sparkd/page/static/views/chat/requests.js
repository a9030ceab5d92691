/** A conversation as a request of OpenAI's API, and as programs that send the same. */

/** The body of the request for the turns before an answer. Throws an Error with a sentence for settings that are not JSON. */
export function buildBody({ model, system, parameters, tools, extra }, turns) {
  const messages = turns.flatMap(toMessage);
  if (system.trim()) messages.unshift({ role: "system", content: system });
  const functions = parseTools(tools);
  return {
    model,
    messages,
    stream: true,
    stream_options: { include_usage: true },
    ...readParameters(parameters),
    ...(functions.length ? { tools: functions } : {}),
    ...parseObject(extra, "Further fields"),
  };
}

function toMessage(turn) {
  if (turn.role === "tool") return { role: "tool", tool_call_id: turn.callId, content: turn.text };
  if (turn.role === "user") return { role: "user", content: turn.images.length ? toParts(turn) : turn.text };
  if (!turn.text && !turn.calls.length) return [];
  const message = { role: "assistant", content: turn.text || (turn.calls.length ? null : "") };
  if (turn.calls.length) {
    message.tool_calls = turn.calls.map(({ id, name, text }) => ({ id, type: "function", function: { name, arguments: text } }));
  }
  return message;
}

function toParts({ text, images }) {
  const parts = images.map(({ url }) => ({ type: "image_url", image_url: { url } }));
  return text ? [{ type: "text", text }, ...parts] : parts;
}

/** The parameters that are set. Empty ones are the model's own. */
function readParameters(parameters) {
  const set = Object.entries(parameters).filter(([, value]) => value !== "" && value !== null);
  return Object.fromEntries(set.map(([name, value]) => [name, name === "reasoning_effort" ? value : Number(value)]));
}

/** The tools as the API has them: a list of functions, each alone or in `{"type": "function", "function": …}`. */
export function parseTools(text) {
  if (!text.trim()) return [];
  let tools;
  try {
    tools = JSON.parse(text);
  } catch (error) {
    throw new Error(`Tools: this is not valid JSON: ${error.message}`, { cause: error });
  }
  const list = Array.isArray(tools) ? tools : [tools];
  return list.map((tool, index) => {
    const found = tool?.type === "function" ? tool : { type: "function", function: tool };
    if (!found.function?.name) throw new Error(`Tools: number ${index + 1} has no name. A tool is {"name", "description", "parameters"}.`);
    return found;
  });
}

/** An object in JSON, empty for an empty text. */
export function parseObject(text, name) {
  if (!text.trim()) return {};
  let value;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Error(`${name}: this is not valid JSON: ${error.message}`, { cause: error });
  }
  if (value === null || typeof value !== "object" || Array.isArray(value)) throw new Error(`${name}: expected a JSON object, such as {"min_p": 0.1}.`);
  return value;
}

/** The body without payloads and stream, for people. */
function readableBody(body) {
  const kept = { ...body };
  delete kept.stream;
  delete kept.stream_options;
  return kept;
}

const shorten = (_, value) => (typeof value === "string" && value.startsWith("data:") && value.length > 200 ? `${value.slice(0, 40)}…` : value);

/** The request for a shell. */
export function toCurl(body, base, needsKey) {
  const json = JSON.stringify(readableBody(body), shorten, 2).replaceAll("'", "'\\''");
  const key = needsKey ? ` \\\n  -H "Authorization: Bearer $SPARKD_API_KEY"` : "";
  return `curl ${base}/v1/chat/completions${key} \\\n  -H "Content-Type: application/json" \\\n  -d '${json}'`;
}

/** The request in Python, by OpenAI's library. */
export function toPython(body, base, needsKey) {
  const { model, messages, tools, ...rest } = readableBody(body);
  const known = ["temperature", "top_p", "max_tokens", "seed", "presence_penalty", "frequency_penalty", "reasoning_effort", "stop", "n"];
  const extra = Object.fromEntries(Object.entries(rest).filter(([name]) => !known.includes(name)));
  const plain = Object.entries(rest).filter(([name]) => known.includes(name));
  const lines = [
    needsKey ? "import os\n" : null,
    "from openai import OpenAI",
    "",
    `client = OpenAI(base_url="${base}/v1", api_key=${needsKey ? 'os.environ["SPARKD_API_KEY"]' : '"none"'})`,
    "response = client.chat.completions.create(",
    `    model=${toLiteral(model)},`,
    `    messages=${indent(toLiteral(messages))},`,
    tools ? `    tools=${indent(toLiteral(tools))},` : null,
    ...plain.map(([name, value]) => `    ${name}=${indent(toLiteral(value))},`),
    Object.keys(extra).length ? `    extra_body=${indent(toLiteral(extra))},` : null,
    ")",
    "print(response.choices[0].message.content)",
  ];
  return lines.filter((line) => line !== null).join("\n");
}

const indent = (text) => text.replaceAll("\n", "\n    ");

/** A value of JSON as a literal of Python. */
function toLiteral(value) {
  if (value === null || value === undefined) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (typeof value !== "object") return JSON.stringify(shorten(null, value));
  const inner = Array.isArray(value) ? value.map(toLiteral) : Object.entries(value).map(([name, each]) => `${JSON.stringify(name)}: ${toLiteral(each)}`);
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  return inner.length ? `${open}\n${inner.map((each) => `    ${indent(each)},`).join("\n")}\n${close}` : open + close;
}
