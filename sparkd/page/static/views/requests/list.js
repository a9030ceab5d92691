/** The loaded requests: pages of the finished ones, and those that end meanwhile. */

import { get } from "../../lib/api.js";
import { useEffect, useRef, useState } from "../../lib/html.js";
import { finished, now } from "../../lib/live.js";
import { matches, toQuery } from "./request.js";

const PAGE = 100;

/**
 * {records, error, isLoading, hasMore, more(), reload()} for these filters. Without a sort order of its own, the list gets
 * each request that ends.
 */
export function useRequests(filters) {
  const [state, setState] = useState({ records: [], next: null, matching: null, error: null, isLoading: true });
  const [turn, setTurn] = useState(0);
  const key = JSON.stringify(filters);
  const abort = useRef(null);

  function load(before, kept) {
    abort.current?.abort();
    const current = (abort.current = new AbortController());
    setState((old) => ({ ...old, isLoading: true, error: null }));
    const query = { ...toQuery(filters, now.value), limit: PAGE, before };
    get("requests", query, { signal: current.signal }).then(
      ({ requests, next, matching }) =>
        current.signal.aborted || setState((old) => ({ records: [...kept, ...requests], next, matching: matching ?? old.matching, error: null, isLoading: false })),
      (error) => current.signal.aborted || setState((old) => ({ ...old, error, isLoading: false })),
    );
  }

  useEffect(() => {
    load(null, []);
    return () => abort.current.abort();
  }, [key, turn]);

  const isNewestFirst = !filters.sort || (filters.sort === "ended" && filters.order !== "asc");
  const ended = finished.value;
  useEffect(() => {
    if (!isNewestFirst || state.isLoading || !ended.length) return;
    const fresh = newOnes(ended, state.records);
    if (fresh === null) setTurn((n) => n + 1);
    else prepend(fresh.filter((record) => matches(record, filters)));
  }, [ended, state.isLoading]);

  function prepend(fresh) {
    if (!fresh.length) return;
    setState((old) => ({ ...old, records: [...fresh, ...old.records], matching: old.matching === null ? null : old.matching + fresh.length }));
  }

  return {
    ...state,
    hasMore: state.next !== null,
    more: () => load(state.next, state.records),
    reload: () => setTurn((n) => n + 1),
  };
}

/** Those of the newest requests that are not loaded. Null if some between them and the loaded ones are missing. */
function newOnes(ended, records) {
  const newest = records[0]?.ended ?? 0;
  const loaded = new Set(records.slice(0, ended.length * 2).map(({ id }) => id));
  const fresh = ended.filter((record) => record.ended >= newest && !loaded.has(record.id)).sort((a, b) => b.ended - a.ended);
  const isWhole = fresh.length < ended.length || ended.length < 20 || !records.length;
  return isWhole ? fresh : null;
}
