/**
 * The live state of the machine, from one event stream: `snapshot`, then `change` with what has changed.
 *
 * A change has whole sections, except `models`, which has the rows that changed; a row of null is gone.
 */

import { address, ApiError, readError, readEvents, send } from "./api.js";
import { batch, signal } from "./html.js";
import { table } from "./tables.js";

/** Milliseconds without anything from sparkd after which what the page shows may be wrong. */
const STALE_AFTER = 12_000;
/** Milliseconds of that after which the connection is given up: its other end may no longer exist. */
const CUT_AFTER = 30_000;
const RETRY_AFTER = 2_000;
/** Milliseconds for which a hidden page stays connected. A browser has six connections to sparkd for all its tabs. */
const HIDDEN_AFTER = 60_000;

/** Sections of the state; null until the first snapshot. `models` has the rows of active models by id. */
export const machine = signal(null);
export const models = signal(table({}));
export const queue = signal(null);
export const inFlight = signal(null);
export const finished = signal([]);

/** "connecting", "live", "stale", "offline" or "refused". */
export const connection = signal("connecting");
/** Why there is no connection, as a sentence; "" if there is one. */
export const connectionProblem = signal("");
/** Seconds since the epoch by sparkd's clock, once a second. */
export const now = signal(Date.now() / 1000);

const sections = { machine, queue, in_flight: inFlight, finished };
let clockOffset = 0;
let lastSign = 0;
let current = null;

/** Connect, and stay connected until the page is closed. */
export function start() {
  setInterval(tick, 1000);
  addEventListener("sparkd-key", () => current?.abort());
  addEventListener("online", () => current?.abort());
  let hiding = 0;
  document.addEventListener("visibilitychange", () => {
    clearTimeout(hiding);
    if (document.hidden) hiding = setTimeout(() => current?.abort(), HIDDEN_AFTER);
  });
  run();
}

/** Seconds since a point in time of sparkd, never negative; null for null. */
export function since(time) {
  return time === null || time === undefined ? null : Math.max(0, now.value - time);
}

async function run() {
  for (;;) {
    await shown();
    current = new AbortController();
    lastSign = performance.now();
    try {
      await connect(current.signal);
      connection.value = "offline";
      connectionProblem.value = "sparkd has ended the connection. Connecting again…";
    } catch (error) {
      if (!current.signal.aborted) report(error);
    }
    await pause(RETRY_AFTER);
  }
}

async function connect(abort) {
  const response = await send("GET", address("events"), { signal: abort });
  if (!response.ok) throw await readError(response);
  await readEvents(response, ({ event, data }) => apply(event, JSON.parse(data)), sign);
}

function sign() {
  lastSign = performance.now();
  connection.value = "live";
  connectionProblem.value = "";
}

function report(error) {
  const isRefused = error instanceof ApiError && (error.status === 401 || error.status === 403);
  connection.value = isRefused ? "refused" : "offline";
  connectionProblem.value = error.message;
}

function apply(event, data) {
  batch(() => {
    if (data.now) clockOffset = data.now - Date.now() / 1000;
    for (const [name, section] of Object.entries(sections)) {
      if (name in data) section.value = data[name];
    }
    if ("models" in data) models.value = event === "snapshot" ? table(data.models) : merge(models.value, data.models);
  });
}

function merge(rows, changes) {
  const merged = table({ ...rows, ...changes });
  for (const [id, row] of Object.entries(changes)) {
    if (row === null) delete merged[id];
  }
  return merged;
}

function tick() {
  now.value = Date.now() / 1000 + clockOffset;
  const silence = performance.now() - lastSign;
  if (["live", "connecting"].includes(connection.value) && silence > STALE_AFTER) {
    connection.value = "stale";
    connectionProblem.value = "Nothing has come from sparkd for a while: what you see may be old.";
  }
  if (silence > CUT_AFTER) current?.abort();
}

/** Wait, but not for longer than until there is another API key. */
function pause(milliseconds) {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
    addEventListener("sparkd-key", resolve, { once: true });
  });
}

/** Wait until somebody can see the page. */
function shown() {
  return new Promise((resolve) => {
    const check = () => {
      if (document.hidden) return;
      document.removeEventListener("visibilitychange", check);
      resolve(undefined);
    };
    document.addEventListener("visibilitychange", check);
    check();
  });
}
