/** What this page may do: everything on the control socket; on the port of clients it reads, or operates with a key. */

import { post, readError, send } from "./api.js";
import { computed } from "./html.js";
import { machine } from "./live.js";

/** Whether everything is allowed. */
export const canControl = computed(() => Boolean(machine.value?.rights?.control));
/** Whether models may be loaded and stopped. */
export const canOperate = computed(() => Boolean(machine.value?.rights?.operate || machine.value?.rights?.control));

/** Why an action is not available, as a sentence. */
export const whyNot =
  "This page is for reading. For everything else, run `sparkctl ui` on the machine, or forward its control socket: " +
  "ssh -L 8010:/run/sparkd/control.sock HOST, then open http://localhost:8010/ui/.";

/** Load a model and wait until it is ready. */
export const loadModel = (id) => act(id, "load");
/** Stop a model once nobody uses it. */
export const stopModel = (id) => act(id, "stop");

async function act(id, action) {
  if (canControl.value) return post(`models/${encodePath(id)}/${action}`);
  const path = action === "load" ? "../models/load" : "../models/unload";
  const response = await send("POST", new URL(path, document.baseURI), { body: { model: id } });
  if (!response.ok) throw await readError(response);
  return response.json();
}

/** A model's id in a path: an id may contain slashes, which stay. */
export const encodePath = (id) => id.split("/").map(encodeURIComponent).join("/");
