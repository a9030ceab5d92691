/** A log as it comes from sparkd. */

import { address, get, readError, readLines, send } from "../../lib/api.js";
import { useEffect, useMemo, useState } from "../../lib/html.js";
import { models } from "../../lib/live.js";
import { encodePath } from "../../lib/rights.js";
import { Lines, MOST_LINES, parseEngineLine, parseOwnLine } from "./lines.js";

const FLUSH_AFTER = 80;
const RETRY_AFTER = 3_000;

/** The lines of `{model, file}`, without a model those of sparkd: {lines, state, error}. `state`: "loading", "live", "ended". */
export function useLog({ model, file }) {
  const lines = useMemo(() => new Lines(model ? parseEngineLine : parseOwnLine), [model, file]);
  const [, setTurn] = useState(0);
  const [status, setStatus] = useState({ state: "loading", error: null });
  const isStarting = model && !file && models.value[model]?.state === "starting";
  useEffect(() => {
    const abort = new AbortController();
    setStatus({ state: "loading", error: null });
    const buffer = new Buffer((raw) => {
      lines.add(raw);
      setTurn((turn) => turn + 1);
    });
    follow({ model, file, lines, buffer, abort: abort.signal, setStatus });
    return () => {
      abort.abort();
      buffer.close();
    };
  }, [lines, isStarting]);
  return { lines, ...status };
}

/** Read until the end; sparkd's own lines again when it is back. */
async function follow({ model, file, lines, buffer, abort, setStatus }) {
  const url = model
    ? address(file ? `models/${encodePath(model)}/runs/${encodeURIComponent(file)}` : `models/${encodePath(model)}/logs`, { lines: MOST_LINES, follow: file ? null : 1 })
    : address("log", { lines: MOST_LINES, follow: 1 });
  while (!abort.aborted) {
    try {
      const response = await send("GET", url, { signal: abort });
      if (!response.ok) throw await readError(response);
      lines.all.length = 0;
      setStatus({ state: "live", error: null });
      await readLines(response, (line) => buffer.add(line));
      buffer.flush();
      setStatus({ state: "ended", error: null });
    } catch (error) {
      if (!abort.aborted) setStatus({ state: "ended", error });
    }
    if (model) return;
    await new Promise((resolve) => setTimeout(resolve, RETRY_AFTER));
  }
}

/** Collects lines, and passes them on a few times a second. */
class Buffer {
  constructor(onLines) {
    this.onLines = onLines;
    this.waiting = [];
    this.timer = null;
  }

  add(line) {
    this.waiting.push(line);
    this.timer ??= setTimeout(() => this.flush(), FLUSH_AFTER);
  }

  flush() {
    this.close();
    if (this.waiting.length) this.onLines(this.waiting.splice(0));
  }

  close() {
    clearTimeout(this.timer);
    this.timer = null;
  }
}

/** The log files of a model's runs, the newest first. */
export const loadRuns = (model, signal) => (model ? get(`models/${encodePath(model)}/runs`, {}, { signal }) : Promise.resolve([]));

/** Where a log can be downloaded: path and query of the control API, and a name for the file. */
export function downloadOf({ model, file }) {
  if (!model) return ["log", { lines: MOST_LINES }, "sparkd.jsonl"];
  const path = `models/${encodePath(model)}`;
  const name = file || `${model.replaceAll("/", "-")}.log`;
  return [file ? `${path}/runs/${encodeURIComponent(file)}` : `${path}/logs`, { lines: 100_000_000 }, name];
}
