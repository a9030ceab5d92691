/** Responses as state of a component. */

import { useEffect, useRef, useState } from "../html.js";

/**
 * What `load(signal)` returns, again whenever one of `inputs` changes: {data, error, isLoading, reload}. `data` stays while
 * it is loaded again.
 */
export function useLoad(load, inputs) {
  const [state, setState] = useState({ data: null, error: null, isLoading: true });
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    const abort = new AbortController();
    setState((old) => ({ ...old, isLoading: true }));
    load(abort.signal).then(
      (data) => abort.signal.aborted || setState({ data, error: null, isLoading: false }),
      (error) => abort.signal.aborted || setState((old) => ({ ...old, error, isLoading: false })),
    );
    return () => abort.abort();
  }, [...inputs, turn]);
  return { ...state, reload: () => setTurn((n) => n + 1) };
}

/** Like useLoad, and again every `seconds` while the page is visible. */
export function usePoll(load, inputs, seconds) {
  const loaded = useLoad(load, inputs);
  const reload = useRef(loaded.reload);
  reload.current = loaded.reload;
  useEffect(() => {
    const timer = setInterval(() => document.hidden || reload.current(), seconds * 1000);
    return () => clearInterval(timer);
  }, [seconds]);
  return loaded;
}
