/** The address after `#/`: the view, and what it shows. */

import { computed, signal } from "./html.js";

const hash = signal(location.hash);
addEventListener("hashchange", () => (hash.value = location.hash));

/** {view, rest, query}: of `#/models/qwen?tab=plan`, "models", "qwen" and {tab: "plan"}. */
export const route = computed(() => parse(hash.value));

function parse(text) {
  const [path, search = ""] = text.replace(/^#\/?/, "").split("?");
  const [view = "", ...rest] = path.split("/");
  return { view: view || "now", rest: rest.map(decode).join("/"), query: Object.fromEntries(new URLSearchParams(search)) };
}

/** A part of the address as text. An address that was typed or linked wrongly stays as it is. */
function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** The address of a view. `query` without null and "" values. */
export function link(view, rest = "", query = {}) {
  const kept = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const search = kept.length ? `?${new URLSearchParams(kept)}` : "";
  return `#/${view}${rest ? `/${rest.split("/").map(encodeURIComponent).join("/")}` : ""}${search}`;
}

/** Go to an address that `link` has made. `replace`: without a step in the browser's history. */
export function go(address, { replace = false } = {}) {
  if (replace) {
    history.replaceState(null, "", address);
    hash.value = location.hash;
  } else {
    location.hash = address;
  }
}

/** Change values of the address's query; the view stays. */
export function setQuery(changes) {
  const { view, rest, query } = route.value;
  go(link(view, rest, { ...query, ...changes }), { replace: true });
}
