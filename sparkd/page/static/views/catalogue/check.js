/** Checks a text with sparkd's own reader as it is typed. */

import { post } from "../../lib/api.js";
import { useEffect, useState } from "../../lib/html.js";

const PAUSE = 300;

/** {result, error, isChecking} of the text of a drop-in; the result is that of an earlier text while it is checked. */
export function useCheck(name, text, isActive) {
  const [state, setState] = useState({ result: null, error: null, isChecking: false, text: null });
  useEffect(() => {
    if (!isActive) {
      setState({ result: null, error: null, isChecking: false, text: null });
      return undefined;
    }
    const abort = new AbortController();
    setState((old) => ({ ...old, isChecking: true }));
    const timer = setTimeout(() => {
      post("catalogue/check", { file: name, text }, { signal: abort.signal }).then(
        (result) => setState({ result, error: null, isChecking: false, text }),
        (error) => abort.signal.aborted || setState({ result: null, error, isChecking: false, text }),
      );
    }, PAUSE);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [name, text, isActive]);
  return state;
}

/** The text with the misspelt name of a problem replaced by the suggested one; null if that is not clear. */
export function applySuggestion(text, problem) {
  const lines = text.split("\n");
  const line = lines[(problem.line ?? 0) - 1];
  if (line === undefined || !problem.suggestion) return null;
  const isName = problem.message.includes("unknown key") || problem.message.includes("unknown table");
  const wrong = (isName ? null : wrongValue(line, problem)) ?? problem.key.match(/(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*")$/)?.[0];
  const equals = line.indexOf("=");
  const at = wrong ? line.lastIndexOf(wrong, isName && equals > 0 ? equals : line.length) : -1;
  if (at < 0) return null;
  const isPlain = /^[A-Za-z0-9_-]+$/.test(problem.suggestion) && !wrong.startsWith('"');
  const right = isPlain ? problem.suggestion : JSON.stringify(problem.suggestion);
  lines[problem.line - 1] = line.slice(0, at) + right + line.slice(at + wrong.length);
  return lines.join("\n");
}

/** The string in a line that a problem is about: its value, or in a list of strings the one that is most similar. */
function wrongValue(line, { message, suggestion }) {
  const value = message.match(/ = ("(?:[^"\\]|\\.)*"): /)?.[1];
  if (value) return line.includes(value) ? value : undefined;
  const strings = line.match(/"(?:[^"\\]|\\.)*"/g) ?? [];
  return strings.find((each) => each.slice(1, 4) === suggestion.slice(0, 3) && each.slice(1, -1) !== suggestion);
}
