/** TOML as coloured tokens, and which key is at a place. Forgiving: it is only for showing. */

/** @type {[string, RegExp][]} */
const TOKENS = [
  ["comment", /#.*/y],
  ["text", /"""(?:[^"\\]|\\.|"(?!""))*"""|'''(?:[^']|'(?!''))*'''/y],
  ["text", /"(?:[^"\\]|\\.)*"?|'[^']*'?/y],
  ["constant", /\b(?:true|false)\b/y],
  ["number", /[+-]?\b\d[\w.:+-]*/y],
  ["key", /[A-Za-z0-9_-]+(?=\s*(?:[.=]))/y],
  ["sign", /[=[\]{},.]/y],
];
const HEADER = /^\s*\[\[?[^\n]*/y;
const OPENS = /"""|'''/;

/** The lines of a text, each as a list of [kind, text]; kind "" is plain. */
export function tokenize(text) {
  let closing = null;
  return text.split("\n").map((line) => {
    if (closing) {
      const end = line.indexOf(closing);
      if (end < 0) return [["text", line]];
      const rest = line.slice(end + 3);
      const head = ["text", line.slice(0, end + 3)];
      closing = null;
      return [head, ...tokenizeLine(rest)];
    }
    const tokens = tokenizeLine(line);
    const last = tokens.at(-1);
    const opened = last?.[0] === "text" && last[1].match(OPENS);
    if (opened && last[1].lastIndexOf(opened[0]) === last[1].indexOf(opened[0])) closing = opened[0];
    return tokens;
  });
}

function tokenizeLine(line) {
  HEADER.lastIndex = 0;
  if (HEADER.test(line) && !line.includes("=")) {
    const comment = line.indexOf("#");
    return comment < 0 ? [["header", line]] : [["header", line.slice(0, comment)], ["comment", line.slice(comment)]];
  }
  const tokens = [];
  let plain = "";
  for (let at = 0; at < line.length; ) {
    const found = opensText(line, at) ?? match(line, at);
    if (!found) {
      plain += line[at++];
      continue;
    }
    if (plain) tokens.push(["", plain]);
    plain = "";
    tokens.push(found);
    at += found[1].length;
  }
  if (plain) tokens.push(["", plain]);
  return tokens;
}

/** A string over several lines that begins here: the rest of the line. */
function opensText(line, at) {
  const mark = line.slice(at, at + 3);
  if (mark !== '"""' && mark !== "'''") return null;
  return line.indexOf(mark, at + 3) < 0 ? ["text", line.slice(at)] : null;
}

function match(line, at) {
  for (const [kind, pattern] of TOKENS) {
    pattern.lastIndex = at;
    const found = pattern.exec(line);
    if (found) return [kind, found[0]];
  }
  return null;
}

/** The keys from the root to the place `at` in a text: ["models", "x", "memory"]; the table's if no key is there. */
export function keyAt(text, at) {
  const before = text.slice(0, at).split("\n");
  const line = before.length - 1;
  const whole = text.split("\n")[line] ?? "";
  let table = [];
  for (const each of [...before.slice(0, -1), whole]) {
    const header = each.match(/^\s*\[{1,2}([^\]#]+)\]/);
    if (header) table = splitKey(header[1]);
  }
  const pair = whole.match(/^\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"))*)\s*=/);
  return { table, key: pair ? splitKey(pair[1]) : [] };
}

function splitKey(text) {
  return [...text.matchAll(/"([^"]*)"|'([^']*)'|([A-Za-z0-9_-]+)/g)].map((found) => found[1] ?? found[2] ?? found[3]);
}
