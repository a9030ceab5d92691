/** The last day of the model: one lane of the history. */

import { get } from "../../lib/api.js";
import { useWidth } from "../../lib/bars.js";
import { duration, percent } from "../../lib/format.js";
import { html, useMemo, useRef } from "../../lib/html.js";
import { now } from "../../lib/live.js";
import { go, link } from "../../lib/router.js";
import { ErrorBox, usePoll, Value } from "../../lib/ui.js";
import { Axis } from "../history/chart.js";
import { Lane, Patterns } from "../history/lane.js";
import { makeScale } from "../history/scale.js";

const DAY = 86_400;
const POLL = 30;

/** The strip. `path` is the model's name in addresses, and `state` the one that it is in now. */
export function Past({ id, path, state }) {
  const load = (signal) => get(`history/${path}`, { from: now.peek() - DAY, to: now.peek() }, { signal });
  const { data, error } = usePoll(load, [path, state], POLL);
  if (error) return html`<${ErrorBox} title="Its history cannot be loaded" error=${error} />`;
  return data && html`<${Patterns} /><${Strip} id=${id} history=${data} /><p class="note">${summarize(data)}</p>`;
}

function Strip({ id, history }) {
  const area = useRef(null);
  const width = useWidth(area);
  const scale = useMemo(() => makeScale(history.since, history.until, Math.max(1, width)), [history, width]);
  const zoom = (from, to) => go(link("history", "", { model: id, from: Math.round(from - 30), to: Math.round(to + 30) }));
  return html`<div class="model-past" ref=${area}>
    ${width > 0 && html`<${Axis} scale=${scale} /><${Lane} model=${id} spans=${history.spans} inUse=${history.in_use} scale=${scale} onZoom=${zoom} />`}
  </div>`;
}

/** For how long it was ready and in use, in a sentence. */
function summarize({ spans }) {
  const ready = spans.filter(({ state }) => state === "ready" || state === "draining");
  if (!ready.length) return "It was not ready in the last 24 hours.";
  const length = ready.reduce((sum, { began, ended }) => sum + ended - began, 0);
  const used = ready.reduce((sum, { in_use: seconds }) => sum + (seconds ?? 0), 0);
  const least = ready.some(({ use_unknown: unknown }) => unknown.length) ? "at least " : "";
  return html`In the last 24 hours it was ready for <${Value} text=${duration(length)} />, and in use for ${least}${duration(used)} (${percent(used / length)}).`;
}
