/** The panel of one model: `#/models/<id>`, with its tab in the address. */

import { get } from "../../lib/api.js";
import { html, useEffect } from "../../lib/html.js";
import { models } from "../../lib/live.js";
import { canControl, encodePath } from "../../lib/rights.js";
import { link, route, setQuery } from "../../lib/router.js";
import { Drawer, ErrorBox, LinkButton, Loading, State, Tabs, useLoad, usePoll } from "../../lib/ui.js";
import { Actions } from "./actions.js";
import { Files } from "./files.js";
import { Loads } from "./loads.js";
import { Options } from "./options.js";
import { Overview } from "./overview.js";
import { PlanTab } from "./plan.js";

export const styles = ["charts.css", "history.css", "model.css"];

const TABS = [
  ["overview", "Overview"],
  ["options", "Options"],
  ["plan", "Plan"],
  ["files", "Files"],
  ["loads", "Loads"],
];
const POLL = 5;

/** The panel. `onClose` is called when it is closed. */
export function ModelDrawer({ id, onClose }) {
  return html`<${Panel} key=${id} id=${id} onClose=${onClose} />`;
}

function Panel({ id, onClose }) {
  const live = models.value[id];
  const path = encodePath(id);
  const options = useLoad((signal) => get(`models/${path}/options`, {}, { signal }), [id]);
  const isDisabled = options.data?.options.some((each) => each.key === "status" && each.value === "disabled");
  // Disabled models have no status.
  const fetchStatus = async (signal) => (options.data && !isDisabled ? get(`models/${path}`, {}, { signal }) : null);
  const status = usePoll(fetchStatus, [id, live?.state, live?.phase, options.data], POLL);
  const tab = TABS.some(([each]) => each === route.value.query.tab) ? route.value.query.tab : "overview";
  const reload = () => (status.reload(), options.reload());
  useEffect(() => {
    document.querySelector("dialog.drawer")?.scrollTo(0, 0);
  }, [id, tab]);
  return html`<${Drawer} title=${id} onClose=${onClose}>
    ${!options.data && !options.error && html`<${Loading} what=${id} />`}
    ${options.error && html`<${ErrorBox} title="This model cannot be shown" error=${options.error} onRetry=${options.reload} />`}
    ${options.data && html`
      <${Head} status=${status.data} isDisabled=${isDisabled} error=${status.error} />
      <${Actions} id=${id} status=${status.data} options=${options.data} onChange=${reload} />
      <${Tabs} label="About ${id}" tabs=${TABS} value=${tab} onChange=${(next) => setQuery({ tab: next === "overview" ? null : next })}>
        <${Content} ...${{ tab, id, path, status: status.data, options: options.data, onChange: reload }} />
      </${Tabs}>
      <${Links} id=${id} options=${options.data} />`}
  </${Drawer}>`;
}

function Head({ status, isDisabled, error }) {
  if (isDisabled) return html`<div class="row"><${State} state="disabled" /></div>`;
  if (error && !status) return html`<${ErrorBox} error=${error} />`;
  if (!status) return null;
  const state = status.quarantined ? "quarantined" : status.state;
  return html`<div class="row model-state" aria-live="polite">
    <${State} state=${state} />
    ${status.phase && html`<span class="note">${status.phase}</span>`}
    ${status.holds.length > 0 && html`<${State} kind="info">held</${State}>`}
    ${status.pinned && html`<${State} kind="info">pinned</${State}>`}
  </div>`;
}

function Content({ tab, ...rest }) {
  const Component = { overview: Overview, options: Options, plan: PlanTab, files: Files, loads: Loads }[tab];
  return html`<${Component} key=${rest.id} ...${rest} />`;
}

/** To the file that defines the model, or to a new one that overrides it. Without the right to edit, it shows the file. */
function CatalogueLink({ id, options }) {
  const isFile = options.editable || !canControl.value;
  const name = options.file.replace("models.d/", "");
  return html`<${LinkButton} size="small" icon=${canControl.value ? "edit" : null} href=${isFile ? link("catalogue", options.file) : link("catalogue", "", { override: id })}>
    ${isFile ? `${canControl.value ? "Edit" : "Show"} ${name}` : "Override"}
  </${LinkButton}>`;
}

function Links({ id, options }) {
  return html`<div class="row model-links">
    <${LinkButton} size="small" icon="logs" href=${link("logs", "", { source: id, model: id })}>Logs</${LinkButton}>
    <${LinkButton} size="small" icon="history" href=${link("history", "", { model: id })}>History</${LinkButton}>
    <${LinkButton} size="small" icon="requests" href=${link("requests", "", { model: id })}>Requests</${LinkButton}>
    <${LinkButton} size="small" icon="chat" href=${link("chat", "", { model: id })}>Chat</${LinkButton}>
    <${CatalogueLink} ...${{ id, options }} />
  </div>`;
}
