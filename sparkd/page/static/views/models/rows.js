/** Rows of the table: what the catalogue has about a model, and what it does now. */

import { table } from "../../lib/tables.js";

/** What a model can do, in the order in which it is shown. */
export const ABILITIES = ["tools", "vision", "thinking", "audio", "embedding", "rerank"];

const LOADED = ["ready", "draining", "stopping"];

/** The row with the live state of its model. A model without a live row is stopped. */
export function withLive(row, active) {
  const found = active ?? { state: "stopped", quarantined: false };
  return { ...row, live: active ?? null, shown: shownState(row, found), memory_used: active?.memory_used ?? null };
}

/** The state as the table shows it. */
function shownState(row, active) {
  if (!row.enabled) return "disabled";
  if (active.quarantined) return "quarantined";
  if (active.download && !active.load) return "downloading";
  return active.state === "backoff" ? "failed" : active.state;
}

const ORDER = ["starting", "downloading", "ready", "draining", "stopping", "quarantined", "failed", "stopped", "disabled"];

/** The place of a state in the table: what happens now comes first. */
export const stateOrder = (row) => ORDER.indexOf(row.shown);

/** Names of the choices of states, and which rows each has. */
export const STATES = table({
  loaded: ["In memory", (row) => LOADED.includes(row.shown)],
  busy: ["Loading", (row) => row.shown === "starting" || row.shown === "downloading"],
  failed: ["Failed", (row) => row.shown === "failed" || row.shown === "quarantined"],
  disk: ["On disk", (row) => row.disk?.state === "complete"],
  missing: ["Not on disk", (row) => row.enabled && isMissing(row)],
  disabled: ["Disabled", (row) => !row.enabled],
});

/** Whether files of the model are known to be missing. */
export const isMissing = (row) => row.disk?.state === "absent" || row.disk?.state === "incomplete";

/**
 * Whether a row belongs to what the filters ask for.
 *
 * @param {any} row
 * @param {{text?: string, state?: string, ability?: string}} filters
 */
export function matches(row, { text = "", state = "", ability = "" }) {
  const isInState = !state || Boolean(STATES[state]?.[1](row));
  return isInState && (!ability || row.abilities.includes(ability)) && hasWords(row, text);
}

function hasWords(row, text) {
  if (!text) return true;
  const all = [row.id, ...row.aliases, row.description, row.family, row.parameters, row.source, row.runtime, ...row.tags].join("\n").toLowerCase();
  return text.toLowerCase().split(/\s+/).every((part) => all.includes(part));
}
