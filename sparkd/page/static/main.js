/** The page: the frame, and in it the view that the address names. */

import { html, render, useEffect, useState } from "./lib/html.js";
import { connection, start } from "./lib/live.js";
import { link, route } from "./lib/router.js";
import { Shell, VIEWS } from "./lib/shell.js";
import { Empty, ErrorBox, Loading } from "./lib/ui.js";

const RELOADED = "sparkd.reloaded";

const loaded = new Map();

/** The module of a view, with its stylesheets in place. */
async function loadView(name) {
  const view = await import(`./views/${name}.js`);
  await Promise.all((view.styles ?? []).map(addStyles));
  loaded.set(name, view.default);
}

function addStyles(name) {
  const href = `css/${name}`;
  if (document.querySelector(`link[href="${href}"]`)) return null;
  const element = Object.assign(document.createElement("link"), { rel: "stylesheet", href });
  document.head.append(element);
  return new Promise((resolve, reject) => {
    const fail = () => (element.remove(), reject(new Error(`${href} cannot be loaded`)));
    Object.assign(element, { onload: resolve, onerror: fail });
  });
}

/**
 * Load the page again, now that sparkd answers: browsers remember that a module could not be loaded, so it cannot be
 * imported again. Not twice within a minute: then something else is wrong.
 */
function reloadOnce() {
  const last = Number(sessionStorage.getItem(RELOADED));
  if (Date.now() - last < 60_000) return;
  sessionStorage.setItem(RELOADED, String(Date.now()));
  location.reload();
}

function View({ name }) {
  const [, setTurn] = useState(0);
  const [error, setError] = useState(null);
  const again = () => setTurn((turn) => turn + 1);
  useEffect(() => {
    setError(null);
    if (name in VIEWS && !loaded.has(name)) loadView(name).then(again, setError);
  }, [name]);
  const isLive = connection.value === "live";
  useEffect(() => {
    if (error && isLive) reloadOnce();
  }, [error, isLive]);
  if (!(name in VIEWS)) {
    return html`<${Empty} title="There is no such view"><a href=${link("now")}>Go to Now</a></${Empty}>`;
  }
  const Component = loaded.get(name);
  if (Component) return html`<${Component} ...${route.value} />`;
  if (error) return html`<${ErrorBox} title="This view cannot be loaded" error=${error} onRetry=${() => location.reload()} />`;
  return html`<${Loading} />`;
}

function App() {
  const { view } = route.value;
  return html`<${Shell}><${View} key=${view} name=${view} /></${Shell}>`;
}

start();
const place = document.getElementById("app");
place.textContent = "";
render(html`<${App} />`, place);
