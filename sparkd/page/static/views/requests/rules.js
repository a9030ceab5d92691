/** What each rule that rewrites requests does, as docs/requests.md says it. */

const RULES = {
  "background-model": "Another model served the request, because it is work in the background that should load no model.",
};

/** One rule in a sentence. */
export function explain(name) {
  if (name.startsWith("ignored-")) return `Left out ${name.slice("ignored-".length)}, which the engine does not know.`;
  return RULES[name] ?? "A rule that this page does not know.";
}
