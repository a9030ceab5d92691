// What the JavaScript programs have in common: they read rounds, and run all cases of a round at once.
import { createInterface } from "node:readline";
import { Agent, setGlobalDispatcher } from "undici";

export const NAME = "read_note";
export const DESCRIPTION = "Reads a note.";
export const PARAMETERS = {
  type: "object",
  properties: { path: { type: "string" } },
  required: ["path"],
};
export const CHAT_TOOLS = [
  { type: "function", function: { name: NAME, description: DESCRIPTION, parameters: PARAMETERS } },
];

function print(document) {
  process.stdout.write(JSON.stringify(document) + "\n");
}

// The class, the status, the code and the message of an error, and the classes and codes of its causes.
export function describe(error) {
  const chain = [];
  for (let cause = error; cause; cause = cause.cause) chain.push(cause.code ?? cause.name ?? "Error");
  const body = error?.error?.error ?? error?.error ?? error?.data?.error ?? error?.data ?? {};
  return {
    class: error?.constructor?.name ?? "Error",
    chain,
    status: error?.status ?? error?.statusCode ?? null,
    code: error?.code ?? body?.code ?? null,
    type: error?.type ?? body?.type ?? null,
    message: String(error?.message ?? JSON.stringify(error)),
  };
}

async function run(oneCase, target) {
  try {
    return await oneCase(target);
  } catch (error) {
    return { error: describe(error) };
  }
}

export async function runRounds(cases) {
  print({ cases: Object.keys(cases) });
  for await (const line of createInterface({ input: process.stdin })) {
    const { prompts, ...wanted } = JSON.parse(line);
    // The timeouts of Node's fetch, which are 300 s by default.
    const milliseconds = wanted.timeout * 1000;
    setGlobalDispatcher(new Agent({ headersTimeout: milliseconds, bodyTimeout: milliseconds }));
    const started = Object.entries(cases).map(([name, oneCase]) => [
      name,
      prompts.map((prompt) => run(oneCase, { ...wanted, prompt })),
    ]);
    print({ asked: true });
    const outcomes = {};
    for (const [name, promises] of started) outcomes[name] = await Promise.all(promises);
    print({ outcomes });
  }
}
