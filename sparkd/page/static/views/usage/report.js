/** Usage as it is shown: rows of GET /usage become the parts of bars, and the rows of a table. */

import { compact, count, duration } from "../../lib/format.js";
import { table } from "../../lib/tables.js";

/** What bars can show, by the name of the field. */
export const MEASURES = table({
  tokens_out: { name: "Tokens out", format: compact },
  tokens_in: { name: "Tokens in", format: compact },
  requests: { name: "Requests", format: count },
  busy_seconds: { name: "Busy time", format: duration },
});

/** What usage can be grouped by: the fields, and what one group is called. */
export const GROUPS = table({
  client: { name: "API key", fields: ["client"] },
  model: { name: "Model", fields: ["model"] },
  program: { name: "Program", fields: ["program"] },
  "model,client": { name: "Key and model", fields: ["client", "model"] },
});

/** Ranges by their address: how many days, and whether bars are days or months. */
export const RANGES = table({
  "7d": { name: "7 days", days: 7, by: "day" },
  "30d": { name: "30 days", days: 30, by: "day" },
  "90d": { name: "90 days", days: 90, by: "day" },
  "12m": { name: "12 months", days: 365, by: "month" },
});

/** Groups with a colour of their own; the smaller ones share one. */
const COLORED = 7;
const SUMMED = ["requests", "failed", "disconnected", "counted", "tokens_in", "tokens_cached", "tokens_out", "busy_seconds"];

const pad = (number) => String(number).padStart(2, "0");
const dayOf = (date) => `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;

/** The days, or months, of a range that ends today: `now` is in seconds since the epoch. Oldest first. */
export function periodsOf(range, now) {
  const { days, by } = RANGES[range];
  const today = new Date(now * 1000);
  if (by === "month") {
    return Array.from({ length: 12 }, (_, index) => dayOf(new Date(today.getFullYear(), today.getMonth() - 11 + index, 1)).slice(0, 7));
  }
  return Array.from({ length: days }, (_, index) => dayOf(new Date(today.getFullYear(), today.getMonth(), today.getDate() - days + 1 + index)));
}

/** The query of GET /usage. */
export function usageQuery(range, group, now) {
  const periods = periodsOf(range, now);
  const from = periods[0].length === 7 ? `${periods[0]}-01` : periods[0];
  return { by: RANGES[range].by, group, from };
}

/** The name of a row's group. */
export function nameOf(row, group) {
  return GROUPS[group].fields.map((field) => row[field] || (field === "program" ? "not recognized" : "unknown")).join(" · ");
}

/** One row for each group, with the sums of its periods, the largest first. Tokens are null if no request has counts. */
export function groupRows(rows, group, measure) {
  const groups = new Map();
  for (const row of rows) {
    const name = nameOf(row, group);
    const sums = groups.get(name) ?? { name };
    for (const field of SUMMED) sums[field] = row[field] === null ? (sums[field] ?? null) : (sums[field] ?? 0) + row[field];
    groups.set(name, sums);
  }
  return [...groups.values()].sort((a, b) => (b[measure] ?? 0) - (a[measure] ?? 0));
}

/** The parts of the bars: the largest groups, and the rest as one. `periods` are the names of the bars. */
export function barGroups(rows, group, measure, periods) {
  const order = groupRows(rows, group, measure).map(({ name }) => name);
  const places = new Map(periods.map((period, index) => [period, index]));
  const has = order.length > COLORED + 1 ? COLORED : COLORED + 1;
  /** @type {{name: string, series: number | string, values: number[]}[]} */
  const groups = order.slice(0, has).map((name, index) => ({ name, series: index + 1, values: periods.map(() => 0) }));
  if (order.length > has) groups.push({ name: `${order.length - has} others`, series: "other", values: periods.map(() => 0) });
  for (const row of rows) {
    const place = places.get(row.period);
    if (place === undefined) continue;
    groups[Math.min(order.indexOf(nameOf(row, group)), groups.length - 1)].values[place] += row[measure] ?? 0;
  }
  return groups;
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** A period as a short label: "28 Nov", "Nov". */
export function shortLabel(period) {
  const [, month, day] = period.split("-").map(Number);
  return day ? `${day} ${MONTHS[month - 1]}` : MONTHS[month - 1];
}
