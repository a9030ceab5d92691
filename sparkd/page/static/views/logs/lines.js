/** The lines of one log: kept up to a limit, and what is known of each. */

import { day } from "../../lib/format.js";
import { stripAnsi } from "./ansi.js";

export const MOST_LINES = 100_000;
const DROPPED_AT_ONCE = 5_000;

export const LEVELS = ["debug", "info", "warning", "error"];

const LEVEL = /^(?:\([^)]{1,60}\) ?)*\[?(DEBUG|INFO|WARNING|WARN|ERROR|CRITICAL|FATAL)\b/;
const NAMES = { DEBUG: "debug", INFO: "info", WARNING: "warning", WARN: "warning", ERROR: "error", CRITICAL: "error", FATAL: "error" };

/** A line of an engine: {text, plain, level}. The lines of a trace have the level of the line before. */
export function parseEngineLine(text, before) {
  const plain = stripAnsi(text);
  const named = LEVEL.exec(plain.slice(0, 200))?.[1];
  const level = named ? NAMES[named] : plain.startsWith("Traceback (") ? "error" : (before?.level ?? "info");
  return [{ text, plain, level, head: "" }];
}

/** A line of sparkd, one piece for each line of its message. `head` is what is at its left. */
export function parseOwnLine(json) {
  if (!json) return [];
  const line = JSON.parse(json);
  const head = clock(line.at);
  return line.message.split("\n").map((text, index) => ({
    text,
    plain: stripAnsi(text),
    level: line.level,
    head: index ? "" : head,
    isOwn: true,
    event: index ? undefined : line.event,
    model: line.model,
    request: line.request,
  }));
}

/** Date and time without the year, all of the same width. */
const clock = (at) => `${day(at).slice(5)} ${new Date(at * 1000).toLocaleTimeString("en-GB")}`;

/** A store of lines. `version` changes with every change. */
export class Lines {
  constructor(parse) {
    this.all = [];
    this.first = 0;
    this.version = 0;
    this.parse = parse;
  }

  /** Add raw lines. Beyond the limit, the oldest ones go; `first` counts those. */
  add(raw) {
    for (const text of raw) this.all.push(...this.parse(text, this.all.at(-1)));
    if (this.all.length > MOST_LINES) {
      const dropped = this.all.length - MOST_LINES + DROPPED_AT_ONCE;
      this.all.splice(0, dropped);
      this.first += dropped;
    }
    this.version += 1;
  }
}

/** The lines of this level and more serious ones. */
export function filterLevel(lines, level) {
  const lowest = LEVELS.indexOf(level);
  return lowest <= 0 ? lines : lines.filter((line) => LEVELS.indexOf(line.level) >= lowest);
}
