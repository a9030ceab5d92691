/** Logs: sparkd's own lines, and the output of each engine, also of earlier runs. */

import { download } from "../lib/download.js";
import { bytes, count, time } from "../lib/format.js";
import { html, useEffect, useMemo, useRef, useState } from "../lib/html.js";
import { models } from "../lib/live.js";
import { go, link, route, setQuery } from "../lib/router.js";
import { Button, Check, Empty, ErrorBox, Field, IconButton, Loading, SearchField, Select, State, ViewHead, useLoad } from "../lib/ui.js";
import { LEVELS, filterLevel } from "./logs/lines.js";
import { findLines, makeExpression } from "./logs/search.js";
import { downloadOf, loadRuns, useLog } from "./logs/source.js";
import { LogViewer } from "./logs/viewer.js";

export const styles = ["logs.css"];

const SEARCH_AFTER = 120;

export default function Logs() {
  const { rest: model, query } = route.value;
  const source = { model, file: query.run ?? "" };
  const { lines, state, error } = useLog(source);
  const shown = useMemo(() => filterLevel(lines.all.slice(), query.level ?? ""), [lines, lines.version, query.level]);
  const search = useSearch(shown, query);
  const [follows, setFollows] = useState(true);
  const [loadTarget, setLoadTarget] = useState(null);
  useEffect(() => setFollows(!query.run), [model, query.run]);
  const target = search.target ?? loadTarget;
  const jump = (line) => {
    setFollows(false);
    setLoadTarget({ line });
  };

  return html`<div class="view logs-view">
    <${ViewHead} title="Logs" actions=${html`<${Actions} ...${{ source, state, follows, setFollows, shown, jump }} />`} />
    <section class="card log-card" aria-label="Log">
      <${Toolbar} ...${{ source, query, search, onSearch: () => setFollows(false) }} />
      ${error && html`<${Problem} error=${error} model=${model} />`}
      ${!error && state === "loading" && !shown.length
        ? html`<${Loading} />`
        : html`<${LogViewer} label=${model ? `Output of ${model}` : "Lines of sparkd"} lines=${shown} wrap=${query.wrap !== "0"}
            expression=${search.expression} current=${search.line} target=${target} follows=${follows} onFollow=${setFollows} />`}
      <${Foot} ...${{ shown, lines, state, model }} />
    </section>
  </div>`;
}

/** A search in the lines: the expression, the lines found, the one that is shown. */
function useSearch(shown, { find = "", regex = "" }) {
  const [wanted, setWanted] = useState({ find, regex });
  const [at, setAt] = useState(null);
  useEffect(() => {
    const timer = setTimeout(() => setWanted({ find, regex }), SEARCH_AFTER);
    return () => clearTimeout(timer);
  }, [find, regex]);
  const { expression, problem } = useMemo(() => parse(wanted), [wanted]);
  const found = useMemo(() => findLines(shown, expression), [shown, expression]);
  useEffect(() => setAt(null), [expression]);
  const line = at === null ? null : (found[Math.min(at, found.length - 1)] ?? null);
  const target = useMemo(() => (line === null ? null : { line }), [line]);
  const move = (step) => found.length && setAt(at === null ? (step > 0 ? 0 : found.length - 1) : (at + step + found.length) % found.length);
  return { expression, problem, found, at, line, target, move };
}

function parse({ find, regex }) {
  try {
    return { expression: makeExpression(find, regex === "1") };
  } catch (error) {
    return { expression: null, problem: error.message };
  }
}

function Actions({ source, state, follows, setFollows, shown, jump }) {
  const save = () => download(...downloadOf(source));
  const starts = useMemo(() => shown.flatMap((line, index) => (line.event === "starting" ? [index] : [])), [shown]);
  const toStart = () => jump(source.model ? 0 : (starts.at(-1) ?? 0));
  return html`<${State} kind=${state === "live" ? "ok" : "idle"}>${state === "live" && !source.file ? "live" : state}</${State}>
    <${Button} size="small" icon=${follows ? "pause" : "play"} aria-pressed=${follows ? "true" : "false"} onClick=${() => setFollows(!follows)}>${follows ? "Pause" : "Follow"}</${Button}>
    <${Button} size="small" onClick=${toStart} disabled=${!source.model && !starts.length}>${source.model ? "To the start" : "Last load"}</${Button}>
    <${Button} size="small" icon="download" onClick=${save}>Download</${Button}>`;
}

function Toolbar({ source, query, search, onSearch }) {
  const field = useRef(null);
  useEffect(() => {
    const focus = (event) => {
      if (event.key !== "/" || event.target.matches("input, textarea, select")) return;
      event.preventDefault();
      field.current.querySelector("input[type=search]").focus();
    };
    addEventListener("keydown", focus);
    return () => removeEventListener("keydown", focus);
  }, []);
  const keyDown = (event) => {
    if (event.key !== "Enter") return;
    onSearch();
    search.move(event.shiftKey ? -1 : 1);
  };
  return html`<div class="filter-bar log-bar" ref=${field}>
    <${SourceField} source=${source} />
    ${source.model && html`<${RunField} source=${source} />`}
    <${Select} label="Level" value=${query.level ?? ""} onChange=${(level) => setQuery({ level })}
      choices=${[["", "all"], ...LEVELS.slice(1).map((level) => [level, level === "error" ? "error" : `${level} and above`])]} />
    <${SearchField} label="Search (press /)" value=${query.find ?? ""} error=${search.problem} onInput=${(find) => setQuery({ find })} onKeyDown=${keyDown} />
    <div class="row log-search">
      <span class="note" role="status">${countText(query.find, search)}</span>
      <${IconButton} icon="up" label="Previous match" onClick=${() => (onSearch(), search.move(-1))} disabled=${!search.found.length} />
      <${IconButton} icon="down" label="Next match" onClick=${() => (onSearch(), search.move(1))} disabled=${!search.found.length} />
      <${Check} label="Regex" checked=${query.regex === "1"} onChange=${(on) => setQuery({ regex: on ? "1" : "" })} />
      <${Check} label="Wrap" checked=${query.wrap !== "0"} onChange=${(on) => setQuery({ wrap: on ? "" : "0" })} />
    </div>
  </div>`;
}

function countText(find, { found, at }) {
  if (!find) return "";
  if (!found.length) return "no match";
  return at === null ? `${count(found.length)} lines` : `${count(Math.min(at, found.length - 1) + 1)} of ${count(found.length)}`;
}

/** sparkd, the models that are active now, and any other model by its name. */
function SourceField({ source }) {
  const active = Object.keys(models.value).sort();
  const names = [...new Set([...active, ...(source.model ? [source.model] : [])])];
  const choose = (name) => go(link("logs", name, { wrap: route.value.query.wrap }));
  const [isTyped, setTyped] = useState(false);
  if (isTyped) {
    return html`<${Field} label="Model">
      ${(attributes) => html`<input class="input" ref=${(element) => element?.focus()} placeholder="id or alias" onChange=${(event) => (setTyped(false), choose(event.target.value.trim()))}
        onBlur=${() => setTyped(false)} ...${attributes} />`}
    </${Field}>`;
  }
  return html`<${Select} label="Log of" value=${source.model} onChange=${(name) => (name === "\n" ? setTyped(true) : choose(name))}
    choices=${[["", "sparkd"], ...names.map((name) => [name, name]), ["\n", "another model…"]]} />`;
}

function RunField({ source }) {
  const runs = useLoad((signal) => loadRuns(source.model, signal), [source.model, models.value[source.model]?.state]);
  const choices = (runs.data ?? []).map(({ file, started, size, current }) => [file, `${time(started)}${current ? ", from its start" : ""} (${bytes(size)})`]);
  const known = choices.some(([file]) => file === source.file);
  return html`<${Select} label="Run" value=${source.file} onChange=${(run) => setQuery({ run })}
    choices=${[["", "last lines, live"], ...(source.file && !known ? [[source.file, source.file]] : []), ...choices]} />`;
}

function Problem({ error, model }) {
  return error.code === "log_not_found"
    ? html`<${Empty} title="There is no output yet"><p>${model} has not run since sparkd started. Choose an earlier run above.</p></${Empty}>`
    : html`<div class="log-problem"><${ErrorBox} error=${error} /></div>`;
}

function Foot({ shown, lines, state, model }) {
  const text = [
    `${count(shown.length)} lines`,
    shown.length !== lines.all.length && `of ${count(lines.all.length)}`,
    lines.first > 0 && `· ${count(lines.first)} older ones left out`,
    model && state === "ended" && "· the process has ended",
  ];
  return html`<footer class="log-foot note">${text.filter(Boolean).join(" ")}</footer>`;
}
