/** The machine's memory as shares of one bar. */

import { machine, models } from "../../lib/live.js";

const RESIDENT = ["starting", "ready", "draining", "stopping"];
const SERIES = 8;
const numbers = new Map();

/**
 * The shares from left to right, {id, name, kind, series, reserved, used}: `reserved` is the outline, `used` what is filled,
 * null if it is unknown; in bytes.
 */
export function memoryShares() {
  const { memory } = machine.value;
  const resident = Object.values(models.value)
    .filter((row) => RESIDENT.includes(row.state))
    .sort((a, b) => (a.id < b.id ? -1 : 1));
  const system = { id: "system", name: "System", kind: "system", series: "system", reserved: memory.reserve, used: memory.system };
  const shares = [system];
  if (memory.launchers) {
    shares.push({ id: "launchers", name: "Launchers", kind: "launchers", series: "reserve", reserved: memory.launchers, used: memory.launchers });
  }
  if (memory.leaked) {
    shares.push({ id: "leaked", name: "Not given back", kind: "leaked", series: "reserve", reserved: memory.leaked, used: memory.leaked });
  }
  shares.push(...resident.map((row) => modelShare(row)));
  return { shares, total: memory.total, free: freeOf(shares, memory.total), floor: memory.floor, available: memory.available };
}

function modelShare(row) {
  return { id: row.id, name: row.id, kind: "model", series: seriesOf(row.id), reserved: row.footprint, used: row.memory_used, row };
}

/** What neither is reserved nor used. */
function freeOf(shares, total) {
  return Math.max(0, total - shares.reduce((sum, share) => sum + extent(share), 0));
}

/** How much of the bar a share takes. */
export const extent = (share) => Math.max(share.reserved, share.used ?? 0);

/** A colour that a model keeps while the page is open, and that no other resident model has, if there are enough. */
function seriesOf(id) {
  if (!numbers.has(id)) {
    const taken = new Set(Object.keys(models.value).map((each) => numbers.get(each)));
    const free = Array.from({ length: SERIES }, (_, index) => index + 1).find((number) => !taken.has(number));
    numbers.set(id, free ?? (numbers.size % SERIES) + 1);
  }
  return String(numbers.get(id));
}
