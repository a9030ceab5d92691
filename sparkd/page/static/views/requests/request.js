/** What a finished request says about itself. */

/** @typedef {object} RequestRecord the fields of GET /requests; times and durations are seconds, null is unknown */

/** The kind of state of a status, for its shape and colour. */
export function statusKind(status) {
  if (status === 499) return "idle";
  if (status >= 500) return "bad";
  return status >= 400 ? "warn" : "ok";
}

const NAMES = {
  200: "OK",
  400: "invalid",
  401: "no key",
  403: "not allowed",
  404: "not found",
  408: "timed out",
  413: "too large",
  422: "invalid",
  429: "busy",
  499: "disconnected",
  500: "failed",
  502: "engine failed",
  503: "unavailable",
  504: "timed out",
};

/** A status as text: "200 OK", "499 disconnected". */
export const statusText = (status) => [status, NAMES[status]].filter(Boolean).join(" ");

/** When the request arrived. */
export const arrived = (record) => record.ended - record.seconds;

/** Seconds until the engine began with it. */
export const waited = (record) => record.queue_seconds + record.load_seconds;

/** Tokens per second of the output, null if it is unknown. */
export function speedOf(record) {
  const seconds = record.first_token_seconds === null ? null : record.seconds - record.first_token_seconds;
  return record.tokens_out > 1 && seconds > 0.05 ? record.tokens_out / seconds : null;
}

/**
 * The phases of a request one after the other, as {id, name, from, to} in seconds since its arrival, without those that took
 * no time. A response in one piece does not say when its first token came.
 */
export function phases(record) {
  const parts = [
    ["queue", "Waiting for its turn", record.queue_seconds],
    ["load", "Loading the model", record.load_seconds],
  ];
  if (record.first_token_seconds === null) {
    parts.push(["engine", "Response of the engine", record.seconds - waited(record)]);
  } else {
    parts.push(["prefill", "Until the first token", record.first_token_seconds - waited(record)]);
    parts.push(["output", "Output", record.seconds - record.first_token_seconds]);
  }
  let from = 0;
  return parts
    .filter(([, , seconds]) => seconds > 0.0005)
    .map(([id, name, seconds]) => ({ id, name, from, to: (from += seconds) }));
}

/** The filters of the address, as the query of GET /requests. `now` is in seconds since the epoch. */
export function toQuery(filters, now) {
  const { text, model, client, program, endpoint, status, span, sort, order } = filters;
  const from = span ? now - Number(span) : null;
  return { text, model, client, program, endpoint, status, from, sort, order };
}

/** Whether a request that has just ended belongs to what is shown. */
export function matches(record, { text, model, client, program, endpoint, status }) {
  const isEqual = (value, wanted) => !wanted || value === wanted;
  const found = [record.id, record.model, record.asked, record.client, record.program].join("\n").toLowerCase();
  return (
    isEqual(record.model, model) &&
    isEqual(record.client, client) &&
    isEqual(record.program, program) &&
    isEqual(record.endpoint, endpoint) &&
    (!status || matchesStatus(record.status, status)) &&
    (!text || found.includes(text.toLowerCase()))
  );
}

function matchesStatus(status, wanted) {
  if (wanted === "ok") return status < 400;
  return wanted === "disconnected" ? status === 499 : status >= 400 && status !== 499;
}
