/** Requests: those in flight, and those that have ended. */

import { download } from "../lib/download.js";
import { counted } from "../lib/format.js";
import { html, useMemo, useState } from "../lib/html.js";
import { now } from "../lib/live.js";
import { go, link, setQuery } from "../lib/router.js";
import { read, store } from "../lib/stored.js";
import { Button, Card, Empty, ErrorBox, Loading, Table, ViewHead } from "../lib/ui.js";
import { InFlightCard } from "./now/requests.js";
import { chosenColumns, DEFAULT_COLUMNS } from "./requests/columns.js";
import { Detail } from "./requests/detail.js";
import { ColumnChoice, Filters, useKnown } from "./requests/filters.js";
import { useRequests } from "./requests/list.js";
import { toQuery } from "./requests/request.js";

export const styles = ["requests.css"];

const STORED = "sparkd.requests.columns";

/** The view. `rest` is the id of the request whose details are shown; `query` has the filters and the order. */
export default function Requests({ rest, query }) {
  const list = useRequests(query);
  const known = useKnown(list.records);
  const [chosen, setChosen] = useState(() => read(STORED, DEFAULT_COLUMNS));
  const open = (record) => go(link("requests", record?.id, query));
  const columns = useMemo(() => chosenColumns(chosen, open), [chosen, JSON.stringify(query)]);
  const choose = (ids) => {
    store(STORED, ids);
    setChosen(ids);
  };
  return html`<div class="view requests">
    <${ViewHead} title="Requests">
      What clients requested, how long each phase took, and how many tokens it needed. sparkd keeps no contents.
    </${ViewHead}>
    <${InFlightCard} hidesEmpty />
    <${Card} title="Finished" note=${noteOf(list)} actions=${html`<${Actions} query=${query} chosen=${chosen} onChoose=${choose} />`} flush>
      <div class="card-body"><${Filters} query=${query} known=${known} /></div>
      <${Finished} list=${list} columns=${columns} query=${query} onOpen=${open} opened=${rest} />
    </${Card}>
    ${rest && html`<${Detail} key=${rest} id=${rest} record=${list.records.find(({ id }) => id === rest)} onClose=${() => open(null)} />`}
  </div>`;
}

function Actions({ query, chosen, onChoose }) {
  return html`<${Button} size="small" icon="download" busyText="Fetching…" onClick=${() => download("requests.csv", toQuery(query, now.value), "requests.csv")}>CSV</${Button}>
    <${ColumnChoice} chosen=${chosen} onChange=${onChoose} />`;
}

function noteOf({ records, matching, isLoading }) {
  if (isLoading && !records.length) return "";
  const all = counted(matching ?? records.length, "request");
  return records.length < matching ? `${all}; ${records.length} loaded` : all;
}

function Finished({ list, columns, query, opened, onOpen }) {
  const { records, error, isLoading, hasMore, more, reload } = list;
  if (error) return html`<div class="card-body"><${ErrorBox} title="The requests cannot be loaded" error=${error} onRetry=${reload} /></div>`;
  if (!records.length) return isLoading ? html`<${Loading} what="requests" />` : html`<${NoRequests} query=${query} />`;
  const sort = [query.sort ?? "ended", query.order === "asc" ? "ascending" : "descending"];
  const onSort = ([id, direction]) => setQuery({ sort: id, order: direction === "ascending" ? "asc" : "desc" });
  // The button in the first column is for the keyboard; a click anywhere in a row does the same.
  const rowProps = (row) => ({ class: "request-row", onClick: () => onOpen(row), "aria-selected": row.id === opened ? "true" : null });
  return html`<${Table} caption="Finished requests" columns=${columns} rows=${records} rowKey=${(row) => row.id} sort=${sort} onSort=${onSort} rowProps=${rowProps} />
    ${hasMore && html`<div class="card-foot row"><${Button} size="small" onClick=${more} disabled=${isLoading}>${isLoading ? "Loading…" : "Show 100 more"}</${Button}></div>`}`;
}

function NoRequests({ query }) {
  const isFiltered = Object.values(query).some(Boolean);
  return isFiltered
    ? html`<${Empty} title="No request matches">Change the filters, or clear them.</${Empty}>`
    : html`<${Empty} title="No request has ended yet">Requests appear here as soon as they end.</${Empty}>`;
}
