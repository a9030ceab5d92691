/** What the catalogue does with the parameters of a request for one model: defaults, fixed values, removed fields. */

import { get } from "../../lib/api.js";
import { encodePath } from "../../lib/rights.js";

const EFFORTS = ["none", "low", "medium", "high"];

/** The options of the model of a card of `/v1/models`; null for a choice of several models. */
export const fetchOptions = (card, signal) => (card && !card.choices ? get(`models/${encodePath(card.id)}/options`, {}, { signal }) : Promise.resolve(null));

/**
 * What happens to one field of a request for `name`: {fixed, value, hint}. `value` is what the catalogue sets, undefined
 * if nothing; if it is `fixed`, the client's own has no effect.
 */
export function effectOf(options, name, field) {
  const read = (key) => options?.options.find((each) => each.key === `rewriting.${key}`)?.value;
  const preset = read("presets")?.[name]?.[field];
  if (preset !== undefined) return fixed(preset, `${name} always uses ${preset}.`);
  const value = read("set")?.[field];
  if (value !== undefined) return fixed(value, `Always ${value}: the catalogue sets it.`);
  if (read("strip")?.includes(field)) return fixed(undefined, "Removed from requests, as the catalogue says.");
  return { fixed: false, value: read("default")?.[field], hint: undefined };
}

const fixed = (value, hint) => ({ fixed: true, value, hint });

/** The choices of the reasoning effort: those that the model knows, with its default. */
export function effortsOf(options, value) {
  const read = (key) => options?.options.find((each) => each.key === `rewriting.${key}`)?.value;
  const usual = value ?? (read("disable_thinking") ? "no thinking" : undefined);
  const first = ["", usual === undefined ? "default" : `default: ${usual}`];
  if (read("thinking_switch")) return [first, ["none", "no thinking"], ["high", "thinking"]];
  const known = read("efforts")?.length ? read("efforts") : EFFORTS;
  return [first, ...known.map((each) => [each, each])];
}
