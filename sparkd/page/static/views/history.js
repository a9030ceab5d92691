/** History: a lane for each model, and what it adds up to. */

import { get } from "../lib/api.js";
import { time } from "../lib/format.js";
import { html, useState } from "../lib/html.js";
import { setQuery } from "../lib/router.js";
import { Button, Card, Empty, ErrorBox, Loading, usePoll, ViewHead } from "../lib/ui.js";
import { LaneChart } from "./history/chart.js";
import { queryOf, RangeChoice, rangeOf, zoomTo } from "./history/range.js";
import { Summary } from "./history/summary.js";
import { HistoryTables } from "./history/table.js";

export const styles = ["charts.css", "history.css"];

const REFRESH = 15;

/** The view. `query` has the time. */
export default function History({ query }) {
  const [isTable, setTable] = useState(false);
  const range = rangeOf(query);
  const inputs = [range.from, range.to, range.span];
  const load = (path) => (abort) => get(path, queryOf(range), { signal: abort });
  const history = usePoll(load("history"), inputs, REFRESH);
  const summary = usePoll(load("history/summary"), inputs, 4 * REFRESH);
  const actions = html`<${Button} size="small" icon=${isTable ? "history" : "table"} aria-pressed=${isTable ? "true" : "false"} onClick=${() => setTable(!isTable)}>${isTable ? "Show as chart" : "Show as table"}</${Button}>`;
  return html`<div class="view">
    <${ViewHead} title="History" actions=${html`<${RangeChoice} range=${range} />`}>
      When each model was loaded and in use, and why it left. Drag over a part to zoom in; with the keyboard, the arrow keys move through a lane, and Enter zooms.
    </${ViewHead}>
    <${Card} title="Models" note=${noteOf(history.data, range)} actions=${actions} flush=${isTable}>
      ${history.error && html`<${ErrorBox} title="The history cannot be loaded" error=${history.error} onRetry=${history.reload} />`}
      ${!history.data && !history.error && html`<${Loading} what="the history" />`}
      ${history.data && html`<${Lanes} history=${ofModel(history.data, query.model)} isTable=${isTable} model=${query.model} />`}
    </${Card}>
    ${summary.data && html`<${Summary} summary=${summary.data} />`}
  </div>`;
}

function noteOf(history, { isLive }) {
  if (!history) return "";
  const note = isLive ? `since ${time(history.since)}` : `${time(history.since)} to ${time(history.until)}`;
  return history.truncated ? `${note}; earlier changes are too many to show` : note;
}

/** The history of one model, or of all. */
function ofModel(history, model) {
  return model ? { ...history, lanes: history.lanes.filter((lane) => lane.model === model) } : history;
}

function Lanes({ history, isTable, model }) {
  if (!history.lanes.length) {
    if (model) return html`<${Empty} title="${model} was not loaded in this time">Choose a longer time, or <${Button} size="small" onClick=${() => setQuery({ model: "" })}>show all models</${Button}></${Empty}>`;
    return html`<${Empty} title="No model was loaded in this time">Choose a longer time, or send a request.</${Empty}>`;
  }
  const shown = isTable ? html`<${HistoryTables} history=${history} />` : html`<${LaneChart} history=${history} onZoom=${zoomTo} />`;
  if (!model) return shown;
  return html`<div class="stack"><div class="row"><span class="note">Only ${model} is shown.</span><${Button} size="small" onClick=${() => setQuery({ model: "" })}>Show all models</${Button}></div>${shown}</div>`;
}
