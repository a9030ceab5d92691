/** Files to save. A link cannot send the API key, so they are fetched and handed to the browser. */

import { address, readError, send } from "./api.js";

/** Fetch a path of the control API and have the browser save it as `name`. Throws ApiError. */
export async function download(path, query, name) {
  const response = await send("GET", address(path, query));
  if (!response.ok) throw await readError(response);
  save(await response.blob(), name);
}

/** Have the browser save a text as `name`. */
export function saveText(name, text, type = "text/plain") {
  save(new Blob([text], { type }), name);
}

function save(blob, name) {
  const url = URL.createObjectURL(blob);
  Object.assign(document.createElement("a"), { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
