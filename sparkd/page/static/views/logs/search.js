/** Search in the lines of a log. */

/** The expression of a query, null for an empty one. Throws SyntaxError for an invalid regular expression. */
export function makeExpression(query, isRegex) {
  if (!query) return null;
  const source = isRegex ? query : query.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return new RegExp(source, /[A-Z]/.test(query) ? "gu" : "giu");
}

/** The numbers of the lines that the expression finds. */
export function findLines(lines, expression) {
  if (!expression) return [];
  const found = [];
  for (let index = 0; index < lines.length; index += 1) {
    expression.lastIndex = 0;
    if (expression.test(lines[index].plain)) found.push(index);
  }
  return found;
}

/** Pieces [text, class] cut where the expression matches: [text, class, isMatch]. */
export function markMatches(pieces, plain, expression) {
  if (!expression) return pieces.map(([text, name]) => [text, name, false]);
  const edges = [];
  for (const match of plain.matchAll(expression)) {
    if (match[0]) edges.push([match.index, match.index + match[0].length]);
  }
  const marked = [];
  let at = 0;
  for (const [text, name] of pieces) {
    cut(text, at, edges).forEach(([part, isMatch]) => marked.push([part, name, isMatch]));
    at += text.length;
  }
  return marked;
}

function cut(text, at, edges) {
  const parts = [];
  let from = 0;
  for (const [start, end] of edges) {
    const low = Math.max(0, start - at);
    const high = Math.min(text.length, end - at);
    if (high <= low) continue;
    if (low > from) parts.push([text.slice(from, low), false]);
    parts.push([text.slice(low, high), true]);
    from = high;
  }
  if (from < text.length) parts.push([text.slice(from), false]);
  return parts;
}
