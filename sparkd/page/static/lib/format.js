/** Numbers as text, as sparkctl writes them. Null and undefined are "unknown", never 0. */

export const UNKNOWN = "unknown";
const GIB = 2 ** 30;

function known(value, format) {
  return value === null || value === undefined || Number.isNaN(value) ? UNKNOWN : format(value);
}

/** Bytes in GiB, one decimal; smaller ones in MiB or KiB. */
export const bytes = (count) =>
  known(count, (n) => {
    if (Math.abs(n) >= GIB / 10 || n === 0) return `${(n / GIB).toFixed(1)} GiB`;
    if (Math.abs(n) >= 2 ** 20) return `${(n / 2 ** 20).toFixed(1)} MiB`;
    return `${Math.ceil(n / 1024)} KiB`;
  });

/** Unit, its seconds, the next smaller unit, its seconds.
 * @type {[string, number, string, number][]}
 */
const UNITS = [
  ["d", 86400, "h", 3600],
  ["h", 3600, "min", 60],
  ["min", 60, "s", 1],
];

/** Two units at most: "4.2 s", "48 s", "3 min 12 s", "2 h 5 min". */
export const duration = (seconds) =>
  known(seconds, (value) => {
    if (value < 0.0995) return `${Math.max(0, Math.round(value * 1000))} ms`;
    if (value < 9.95) return `${value.toFixed(1)} s`;
    const whole = Math.round(value);
    for (const [name, length, smaller, part] of UNITS) {
      if (whole < length) continue;
      const rest = Math.floor((whole % length) / part);
      return rest ? `${Math.floor(whole / length)} ${name} ${rest} ${smaller}` : `${Math.floor(whole / length)} ${name}`;
    }
    return `${whole} s`;
  });

/** A whole number with separators. */
export const count = (value) => known(value, (n) => Math.round(n).toLocaleString("en"));

/** A large number in three digits: "1.24M". */
export const compact = (value) =>
  known(value, (n) => (n < 10_000 ? count(n) : n.toLocaleString("en", { notation: "compact", maximumSignificantDigits: 3 })));

/** A clause as a sentence of its own: with a capital letter, unless it begins with a name. */
export const sentence = (text) => text.replace(/^(?!sparkd\b)[a-z](?=[a-z]*[\s,])/, (letter) => letter.toUpperCase());

/** "1 model", "2 models". */
export const counted = (n, noun, plural = `${noun}s`) => `${count(n)} ${n === 1 ? noun : plural}`;

/** A ratio as per cent. */
export const percent = (ratio) => known(ratio, (value) => `${Math.round(value * 100)} %`);

/** Tokens per second. */
export const speed = (value) => known(value, (n) => `${n < 10 ? n.toFixed(1) : Math.round(n)} tok/s`);

export const temperature = (value) => known(value, (n) => `${Math.round(n)} °C`);
export const power = (value) => known(value, (n) => `${n < 10 ? n.toFixed(1) : Math.round(n)} W`);
export const frequency = (hertz) => known(hertz, (n) => `${Math.round(n / 1e6)} MHz`);

/** Joules as watt-hours. */
export const energy = (joules) =>
  known(joules, (n) => {
    const hours = n / 3600;
    return hours < 1000 ? `${hours < 10 ? hours.toFixed(1) : Math.round(hours)} Wh` : `${(hours / 1000).toFixed(2)} kWh`;
  });

const sameDay = (a, b) => a.toDateString() === b.toDateString();

/** A point in time, in seconds since the epoch: the time today, otherwise with the date. */
export const time = (seconds) =>
  known(seconds, (value) => {
    const date = new Date(value * 1000);
    const clock = date.toLocaleTimeString("en-GB");
    return sameDay(date, new Date()) ? clock : `${day(value)} ${clock}`;
  });

/** The date of a point in time: 2026-11-28. */
export const day = (seconds) =>
  known(seconds, (value) => {
    const date = new Date(value * 1000);
    const pad = (n) => String(n).padStart(2, "0");
    return `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
  });

/** How long ago: "just now", "5 min ago". */
export const ago = (seconds) => known(seconds, (value) => (value < 5 ? "just now" : `${duration(value).split(" ").slice(0, 2).join(" ")} ago`));
