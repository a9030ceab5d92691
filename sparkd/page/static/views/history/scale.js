/** From times to places on the screen, and the ticks of the axis. */

const MINUTE = 60;
const HOUR = 3600;
const DAY = 86_400;
const STEPS = [1, 2, 5, 10, 15, 30, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 3 * DAY, 7 * DAY];
const TICK_SPACE = 84;

/** A scale: `x(time)` in pixels and `time(x)`. */
export function makeScale(since, until, width) {
  const pixels = width / (until - since);
  return { since, until, width, x: (time) => (Math.min(until, Math.max(since, time)) - since) * pixels, time: (x) => since + x / pixels };
}

/** The ticks as {at, label, isDay}, at round local times. */
export function ticksOf({ since, until, width }) {
  const step = STEPS.find((each) => (each / (until - since)) * width >= TICK_SPACE) ?? 7 * DAY;
  const offset = new Date(since * 1000).getTimezoneOffset() * MINUTE;
  const first = Math.ceil((since - offset) / step) * step + offset;
  const ticks = [];
  for (let at = first; at <= until; at += step) ticks.push({ at, ...labelOf(new Date(at * 1000), step) });
  return ticks;
}

function labelOf(date, step) {
  const isDay = date.getHours() === 0 && date.getMinutes() === 0 && date.getSeconds() === 0;
  if (isDay || step >= DAY) return { isDay: true, label: date.toLocaleDateString("en-GB", { day: "numeric", month: "short" }) };
  const options = { hour: "2-digit", minute: "2-digit", second: step < MINUTE ? "2-digit" : undefined };
  return { isDay: false, label: date.toLocaleTimeString("en-GB", options) };
}

/** The spans that can be seen, as {index, x, width}: of several within one pixel the longest, but failures always. */
export function visible(spans, scale) {
  const shown = [];
  spans.forEach((span, index) => {
    if (span.state === "stopped" || span.state === "removed" || span.ended < scale.since || span.began > scale.until) return;
    const x = scale.x(span.began);
    const width = scale.x(span.ended) - x;
    const last = shown.at(-1);
    const isHidden = last !== undefined && width < 1 && x < last.x + last.width;
    if (!isHidden) shown.push({ index, x, width: Math.max(width, 1.5) });
    else if (last.width === 1.5 && matters(span, spans[last.index])) last.index = index;
  });
  return shown;
}

function matters(span, other) {
  if (other.state === "backoff") return false;
  return span.state === "backoff" || span.ended - span.began > other.ended - other.began;
}
