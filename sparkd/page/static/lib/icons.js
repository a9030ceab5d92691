/** Icons: one stroke, 24 units wide. They repeat what is written beside them, so screen readers skip them. */

import { html } from "./html.js";

const PATHS = {
  now: "M3 12h4l3 8 4-16 3 8h4",
  models: "M12 3 4 7.5v9L12 21l8-4.5v-9zM4 7.5l8 4.5 8-4.5M12 12v9",
  requests: "M8 6h13M8 12h13M8 18h13M3.5 6h.01M3.5 12h.01M3.5 18h.01",
  logs: "M4 17l6-5-6-5M12 19h8",
  chat: "M21 12a8 8 0 0 1-8 8H4l2.3-3.1A8 8 0 1 1 21 12z",
  history: "M3 12a9 9 0 1 0 3-6.7L3 8M3 3v5h5M12 7v5l3.5 2",
  usage: "M4 20V10M10 20V4M16 20v-7M22 20H2",
  clients: "M9 3v5M15 3v5M6 8h12v4a6 6 0 0 1-12 0zM12 18v3",
  catalogue: "M14 3H6v18h12V7zM14 3v4h4M9 12h6M9 16h6",
  doctor: "M12 21s-8-4.6-8-11V5l8-2 8 2v5c0 6.4-8 11-8 11zM12 8v6M9 11h6",
  menu: "M4 7h16M4 12h16M4 17h16",
  close: "M6 6l12 12M18 6 6 18",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  check: "M5 12.5l4.5 4.5L19 7.5",
  alert: "M12 3 2 20h20zM12 10v4M12 17.2h.01",
  info: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM12 11v5M12 8h.01",
  play: "M7 4.5v15l12-7.5z",
  stop: "M6 6h12v12H6z",
  retry: "M20 11a8 8 0 1 0-2.3 6M20 4v7h-7",
  download: "M12 4v11M7 11l5 5 5-5M4 20h16",
  trash: "M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13",
  left: "M15 5l-7 7 7 7",
  right: "M9 5l7 7-7 7",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  down: "M5 9l7 7 7-7",
  up: "M5 15l7-7 7 7",
  external: "M14 4h6v6M20 4l-9 9M18 14v6H4V6h6",
  sun: "M12 17a5 5 0 1 0 0-10 5 5 0 0 0 0 10zM12 1.5V4M12 20v2.5M1.5 12H4M20 12h2.5M4.6 4.6l1.8 1.8M17.6 17.6l1.8 1.8M4.6 19.4l1.8-1.8M17.6 6.4l1.8-1.8",
  moon: "M20 14.5A8.5 8.5 0 0 1 9.5 4 8.5 8.5 0 1 0 20 14.5z",
  system: "M3 4h18v12H3zM8 20h8M12 16v4",
  search: "M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14zM16 16l5 5",
  pin: "M12 17v5M7 3h10l-1.5 7 3 4H5.5l3-4z",
  edit: "M4 20h4L19 9l-4-4L4 16zM13 7l4 4",
  undo: "M4 9h10a6 6 0 0 1 0 12H8M4 9l5-5M4 9l5 5",
  image: "M3 5h18v14H3zM3 16l5-5 4 4 3-3 6 6M15.5 9.5h.01",
  tool: "M15 4a5 5 0 0 0-4.6 6.9L3 18.3 5.7 21l7.4-7.4A5 5 0 0 0 20 8l-3 3-3-1-1-3z",
  send: "M4 12l16-8-6 16-3-7z",
  pause: "M8 5v14M16 5v14",
  more: "M5 12h.01M12 12h.01M19 12h.01",
  table: "M3 5h18v14H3zM3 10h18M3 15h18M10 5v14",
};

/** An icon by name. `size` is in pixels. */
export function Icon({ name, size = 16 }) {
  return html`<svg class="icon" width=${size} height=${size} viewBox="0 0 24 24" fill="none" stroke="currentColor"
    stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" focusable="false">
    <path d=${PATHS[name]} />
  </svg>`;
}

/** sparkd's mark. */
export function Mark({ size = 22 }) {
  return html`<svg width=${size} height=${size} viewBox="0 0 24 24" aria-hidden="true" focusable="false">
    <rect width="24" height="24" rx="6" fill="currentColor" />
    <path class="mark-spark" d="M13.4 3.5 5.8 13.3h5l-.8 7.2 8.2-10.4h-5.3z" />
  </svg>`;
}

const SHAPES = {
  ok: html`<circle cx="5" cy="5" r="4" fill="currentColor" />`,
  busy: html`<path d="M5 .8 9.2 5 5 9.2.8 5z" fill="currentColor" />`,
  warn: html`<path d="M5 .8 9.6 9H.4z" fill="currentColor" />`,
  bad: html`<path d="M3.2.8h3.6l2.4 2.4v3.6L6.8 9.2H3.2L.8 6.8V3.2z" fill="currentColor" />`,
  info: html`<rect x="1" y="1" width="8" height="8" fill="currentColor" />`,
  idle: html`<circle cx="5" cy="5" r="3.4" fill="none" stroke="currentColor" stroke-width="1.6" />`,
};

/** The shape that belongs to a kind of state: colour alone is not enough. */
export function Shape({ kind }) {
  return html`<svg width="10" height="10" viewBox="0 0 10 10" aria-hidden="true" focusable="false">${SHAPES[kind]}</svg>`;
}
