/** Search, and choices of states and abilities. They are in the address, so that a link keeps them. */

import { html } from "../../lib/html.js";
import { route, setQuery } from "../../lib/router.js";
import { SearchField, Segments, Select } from "../../lib/ui.js";
import { ABILITIES, STATES } from "./rows.js";

export function Filters({ rows }) {
  const { text = "", state = "", ability = "" } = route.value.query;
  const present = Object.entries(STATES).filter(([value, [, has]]) => value === state || rows.some(has));
  const states = [["", "All"], ...present.map(([value, [name]]) => [value, name])];
  const abilities = ABILITIES.filter((each) => rows.some((row) => row.abilities.includes(each)));
  return html`<div class="filter-bar">
    <${SearchField} label="Search" placeholder="Name, alias, tag or source" value=${text} onInput=${(value) => setQuery({ text: value })} />
    ${abilities.length > 0 && html`<${Select} label="Can do" value=${ability} onChange=${(value) => setQuery({ ability: value })}
      choices=${[["", "anything"], ...abilities.map((each) => [each, each])]} />`}
    <${Segments} label="State" value=${state} choices=${states} onChange=${(value) => setQuery({ state: value })} />
  </div>`;
}
