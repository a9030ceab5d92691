/** Says to screen readers what models do: their states and the phases of loads, never figures. */

import { html, useEffect, useRef, useState } from "../../lib/html.js";
import { models } from "../../lib/live.js";

export function Announcer() {
  const before = useRef(null);
  const [text, setText] = useState("");
  const current = describeAll();
  useEffect(() => {
    const news = before.current === null ? [] : Object.keys(current).filter((id) => current[id] !== before.current[id]);
    before.current = current;
    if (news.length) setText(news.map((id) => current[id]).join(" "));
  }, [JSON.stringify(current)]);
  return html`<p class="visually-hidden" role="status" aria-live="polite">${text}</p>`;
}

function describeAll() {
  return Object.fromEntries(Object.values(models.value).map((row) => [row.id, describe(row)]));
}

function describe(row) {
  if (row.download) return `${row.id} is being downloaded.`;
  if (row.load?.phase) return `${row.id}: ${row.load.phase}.`;
  if (row.state === "backoff") return `${row.id} has failed.`;
  return { starting: `${row.id} is loading.`, ready: `${row.id} is ready.`, stopped: `${row.id} has stopped.` }[row.state] ?? `${row.id} is ${row.state}.`;
}
