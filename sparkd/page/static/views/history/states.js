/** What a span of a lane is, and why it began. */

import { duration, percent, sentence, time } from "../../lib/format.js";

/** States by their name in the response: what they are called, their kind of state, and their class. */
export const STATES = {
  starting: { name: "loading", kind: "busy" },
  ready: { name: "ready", kind: "ok" },
  draining: { name: "finishing its requests", kind: "warn" },
  stopping: { name: "stopping", kind: "warn" },
  backoff: { name: "failed", kind: "bad" },
  stopped: { name: "stopped", kind: "idle" },
  removed: { name: "not in the catalogue", kind: "idle" },
  unknown: { name: "unknown: sparkd did not run", kind: "info" },
};

/** The legend: what is drawn, what it is called, and its pattern. */
export const LEGEND = [
  { shape: "starting", name: STATES.starting.name, pattern: "starting" },
  { shape: "in-use", name: "ready, in use" },
  { shape: "ready", name: "ready, idle", isThin: true },
  { shape: "use-unknown", name: "ready, use unknown", pattern: "use-unknown" },
  { shape: "draining", name: STATES.draining.name, isThin: true },
  { shape: "stopping", name: STATES.stopping.name, isThin: true, pattern: "stopping" },
  { shape: "backoff", name: STATES.backoff.name, pattern: "backoff" },
  { shape: "unknown", name: STATES.unknown.name, isThin: true, pattern: "unknown" },
];

const REASONS = {
  idle: "Nobody used it.",
  evicted: "Another model needed its memory.",
  operator: "It was stopped by hand.",
  guard: "The memory guard ended it.",
  crash: "Its engine failed.",
  drained: "sparkd stopped, or its definition changed.",
};

/** Why a span began, as sentences; "" if there is no reason. */
export function reasonOf({ stop_reason: reason, text, evicted_for: by }) {
  if (reason === "evicted" && by) return `Model ${by} needed its memory.`;
  if (reason === "operator") return REASONS.operator;
  return [REASONS[reason], sentence(text ?? "")].filter(Boolean).join(" ");
}

/** From when to when, and for how long. */
export const whenOf = ({ began, ended }) => `${time(began)} to ${time(ended)}, ${duration(ended - began)}`;

/** For how long the model was in use in a span, as a sentence; "" in states without use. */
export function useOf({ state, began, ended, in_use: used, use_unknown: unknown }) {
  if (state !== "ready" && state !== "draining") return "";
  if (used === null) return "It is not known whether it was in use.";
  const missing = unknown.reduce((sum, [from, to]) => sum + to - from, 0);
  if (missing) return `In use for at least ${duration(used)}; not known for ${duration(missing)}.`;
  return used ? `In use for ${duration(used)} (${percent(used / (ended - began))}).` : "Not in use.";
}

/** A span in a few sentences, for screen readers. */
export function describeSpan(span) {
  return [`${STATES[span.state]?.name ?? span.state}, ${whenOf(span)}.`, useOf(span), reasonOf(span)].filter(Boolean).join(" ");
}

const EVENTS = {
  guard: { name: "Memory guard", kind: "bad" },
  reloaded: { name: "Catalogue reloaded", kind: "info" },
  download_began: { name: "Download began", kind: "busy" },
  downloaded: { name: "Downloaded", kind: "ok" },
  download_failed: { name: "Download failed", kind: "bad" },
};
const ENDS = {
  replaced: { name: "sparkd replaced by another version", kind: "info" },
  stopped: { name: "sparkd stopped", kind: "idle" },
  killed: { name: "sparkd ended without stopping", kind: "bad" },
};

/** What happened besides changes of states, oldest first: {at, name, kind, text}. */
export function eventsOf({ occurrences, sessions, since }) {
  const happened = occurrences.map(({ at, kind, model, text }) => ({ at, ...(EVENTS[kind] ?? { name: kind, kind: "info" }), text: [model, text].filter(Boolean).join(": ") }));
  for (const { began, ended, version, end } of sessions) {
    if (began >= since) happened.push({ at: began, name: "sparkd started", kind: "ok", text: `Version ${version}.` });
    if (end in ENDS) happened.push({ at: ended, ...ENDS[end], text: `Version ${version}.` });
  }
  return happened.sort((a, b) => a.at - b.at);
}
