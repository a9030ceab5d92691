/** The colour scheme: the system's, light or dark. */

import { signal } from "./html.js";

const STORED = "sparkd.theme";

/** "system", "light" or "dark". */
export const theme = signal(read());

/** Use a scheme from now on, in this browser. */
export function setTheme(name) {
  theme.value = name;
  try {
    if (name === "system") localStorage.removeItem(STORED);
    else localStorage.setItem(STORED, name);
  } catch {
    // Storage is off in this browser: the choice lasts until the page is closed.
  }
  dispatchEvent(new Event("sparkd-theme"));
}

function read() {
  try {
    return localStorage.getItem(STORED) ?? "system";
  } catch {
    return "system";
  }
}
