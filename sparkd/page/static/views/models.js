/** Models: the whole catalogue, and the panel of one model beside it. */

import { get } from "../lib/api.js";
import { counted } from "../lib/format.js";
import { html, useMemo } from "../lib/html.js";
import { machine, models as live } from "../lib/live.js";
import { canControl, canOperate } from "../lib/rights.js";
import { go, link, route } from "../lib/router.js";
import { Card, Empty, ErrorBox, Loading, Table, ViewHead, usePoll } from "../lib/ui.js";
import { ModelDrawer, styles as drawerStyles } from "./model/drawer.js";
import { columnsFor } from "./models/columns.js";
import { Filters } from "./models/filters.js";
import { matches, withLive } from "./models/rows.js";

export const styles = ["models.css", ...drawerStyles];

/** Seconds after which the page asks again for what the event stream does not have: sizes on disk, uses, speeds. */
const POLL = 20;

export default function Models({ rest }) {
  const { query } = route.value;
  const { data, error, reload } = usePoll((signal) => get("models", {}, { signal }), [], POLL);
  const rows = useMemo(() => (data ? data.map((row) => withLive(row, live.value[row.id])) : null), [data, live.value]);
  const shown = useMemo(() => rows?.filter((row) => matches(row, query)), [rows, query.text, query.state, query.ability]);
  const columns = useMemo(() => columnsFor({ canOperate: canOperate.value, canControl: canControl.value, reload }), [canOperate.value, canControl.value]);
  return html`<div class="view models">
    <${ViewHead} title="Models" />
    ${error && !data && html`<${ErrorBox} title="The models cannot be listed" error=${error} onRetry=${reload} />`}
    ${!data && !error && html`<${Loading} what="the catalogue" />`}
    ${rows && html`<${Filters} rows=${rows} /><${List} ...${{ rows, shown, columns }} />`}
    ${rest && html`<${ModelDrawer} id=${rest} onClose=${() => close(query)} />`}
  </div>`;
}

/** Close the panel, and keep the filters. */
function close({ text = "", state = "", ability = "" }) {
  go(link("models", "", { text, state, ability }));
}

function List({ rows, shown, columns }) {
  const note = shown.length === rows.length ? counted(rows.length, "model") : `${shown.length} of ${counted(rows.length, "model")}`;
  const empty = html`<${Empty} title=${rows.length ? "No model matches" : "The catalogue has no models"}>
    ${rows.length ? html`<a href=${link("models")}>Show all models</a>` : html`<span>Add one with <code>sparkctl add</code>.</span>`}
  </${Empty}>`;
  return html`<${Card} title="Catalogue" note=${[note, machine.value?.name].filter(Boolean).join(" on ")} flush>
    <${Table} caption="Models of the catalogue" columns=${columns} rows=${shown} rowKey=${(row) => row.id} sort=${["state", "ascending"]} empty=${empty} />
  </${Card}>`;
}
