/**
 * Requests to sparkd: `api/…` beside this page, which is the control API, and `../v1/…`.
 *
 * Each function throws ApiError with the daemon's message. The API key, if sparkd needs one, is kept for this tab only.
 */

import { createParser } from "eventsource-parser";
import { signal } from "./html.js";

const STORED_KEY = "sparkd.key";

/** Why sparkd wants an API key: its message, "" if it does not. The shell asks for the key. */
export const keyProblem = signal("");

/** A response that is an error, or no response at all (status 0). */
export class ApiError extends Error {
  constructor(message, { status = 0, code = "", retryAfter = null } = {}) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

/** The API key of this tab, null for none. */
export function apiKey() {
  return sessionStorage.getItem(STORED_KEY);
}

/** Use this API key in this tab; null forgets it. */
export function setApiKey(key) {
  if (key) sessionStorage.setItem(STORED_KEY, key);
  else sessionStorage.removeItem(STORED_KEY);
  keyProblem.value = "";
  dispatchEvent(new Event("sparkd-key"));
}

/** The address of a path of the control API, such as `models/x/load`; `query` without null and "" values. */
export function address(path, query = {}) {
  const url = new URL(`api/${path.replace(/^\//, "")}`, document.baseURI);
  url.hash = "";
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") url.searchParams.set(name, String(value));
  }
  return url;
}

/**
 * What a request has besides its method and address.
 * @typedef {object} Options
 * @property {unknown} [body] text, or a value that is sent as JSON
 * @property {AbortSignal} [signal] cancels it
 * @property {Record<string, string>} [headers]
 * @property {Record<string, unknown>} [query] see `address`
 */

/**
 * Send a request; return the response, whatever its status is.
 * @param {string} method
 * @param {URL} url
 * @param {Options} [options]
 */
export async function send(method, url, { body, signal: abort, headers = {} } = {}) {
  /** @type {Record<string, string>} */
  const all = { "x-sparkd-request": "1", ...headers };
  const key = apiKey();
  if (key) all.authorization = `Bearer ${key}`;
  if (body !== undefined) all["content-type"] ??= "application/json";
  const content = typeof body === "string" ? body : JSON.stringify(body);
  try {
    return await fetch(url, { method, headers: all, body: content, signal: abort, cache: "no-store" });
  } catch (error) {
    if (abort?.aborted) throw error;
    throw new ApiError("sparkd does not answer. It may be restarting; this page tries again by itself.");
  }
}

/**
 * @param {string} method
 * @param {string} path
 * @param {Options} [options]
 * @returns {Promise<any>}
 */
async function request(method, path, { query, ...options } = {}) {
  const response = await send(method, address(path, query), options);
  if (!response.ok) throw await readError(response);
  const type = response.headers.get("content-type") ?? "";
  return type.includes("json") ? response.json() : response.text();
}

/** GET a path of the control API. */
export const get = (path, query, options = {}) => request("GET", path, { query, ...options });

/** POST to a path of the control API. */
export const post = (path, body, options = {}) => request("POST", path, { body, ...options });

/** PUT to a path of the control API. */
export const put = (path, body, options = {}) => request("PUT", path, { body, ...options });

/** DELETE a path of the control API. */
export const del = (path, options = {}) => request("DELETE", path, options);

/** The error of a response, with the message in the shape of any of sparkd's APIs. */
export async function readError(response) {
  const text = await response.text().catch(() => "");
  const found = parseError(text);
  const retryAfter = Number(response.headers.get("retry-after")) || null;
  const message = found.message || `sparkd answered ${response.status}.`;
  if (response.status === 401) keyProblem.value = message;
  return new ApiError(message, { status: response.status, code: found.code ?? "", retryAfter });
}

function parseError(text) {
  try {
    const { error } = JSON.parse(text);
    return typeof error === "string" ? { message: error } : (error ?? {});
  } catch {
    return { message: text.slice(0, 300) };
  }
}

/** Call `onEvent({event, data, id})` for each server-sent event of a response until it ends. `onBytes`: whenever something arrives. */
export async function readEvents(response, onEvent, onBytes = () => {}) {
  const parser = createParser({ onEvent });
  await readText(response, (text) => {
    onBytes();
    parser.feed(text);
  });
}

/** Call `onLine` for each line of a response until it ends. */
export async function readLines(response, onLine) {
  let rest = "";
  await readText(response, (text) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop();
    for (const line of lines) onLine(line);
  });
  if (rest) onLine(rest);
}

async function readText(response, onText) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    onText(value);
  }
}
