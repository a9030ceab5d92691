"""Adds to lanes when their models were in use, and when that is not known."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Final

from msgspec import Struct, structs

from sparkd.usage.intervals import Interval, Intervals, join_close, subtract
from sparkd.usage.results import Lane, Span
from sparkd.usage.session import Session

RESOLUTION: Final = 600
"""Parts of a period. Two requests with a shorter pause between them are one time in a lane, so that it stays small."""

USED_STATES: Final = frozenset({"ready", "draining"})
"""States in which a model can be in use."""

ALWAYS: Final = float("inf")


class KnownUse(Struct, frozen=True):
    """Requests that ended from `since` to `until` are recorded, except those that were in flight at one of the `kills`:
    the ends of programs that had no time to record them."""

    since: float = 0.0
    until: float = ALWAYS
    kills: tuple[float, ...] = ()


def read_known_use(
    connection: sqlite3.Connection, period: Interval, running: Session | None, *, is_recording: bool
) -> KnownUse:
    """Read for which part of the period requests are recorded. Raises sqlite3.Error."""
    first = connection.execute("SELECT number, ended FROM main.requests ORDER BY number LIMIT 1").fetchone()
    newest = connection.execute("SELECT max(ended) FROM requests").fetchone()[0] or 0.0
    kills = connection.execute(
        "SELECT seen FROM sessions WHERE ended IS NULL AND began != ? AND seen > ? AND seen <= ? ORDER BY seen",
        (running.began if running else -1.0, *period),
    )
    return KnownUse(
        # The first request that was ever recorded has the number 1.
        since=first[1] if first and first[0] > 1 else 0.0,
        until=ALWAYS if is_recording else newest,
        kills=tuple(seen for (seen,) in kills),
    )


def add_use(lane: Lane, times: Mapping[str, Intervals], known: KnownUse, period: Interval) -> Lane:
    """The lane with when its model was in use: as a lane can show it, and in seconds for each span."""
    of_model = times.get(lane.model) or Intervals()
    gap = (period[1] - period[0]) / RESOLUTION
    used = [span for span in lane.spans if span.state in USED_STATES]
    return Lane(
        lane.model,
        [_measure(span, of_model, known) if span.state in USED_STATES else span for span in lane.spans],
        [part for span in used for part in join_close(of_model.clip(span.began, span.ended), gap)],
    )


def _measure(span: Span, times: Intervals, known: KnownUse) -> Span:
    unknown = _find_unknown(span, times, known)
    unknown_seconds = sum(ended - began for began, ended in unknown)
    used = times.measure(span.began, span.ended)
    is_unknown = not used and unknown_seconds >= span.ended - span.began
    return structs.replace(span, in_use=None if is_unknown else used, use_unknown=unknown)


def _find_unknown(span: Span, times: Intervals, known: KnownUse) -> list[Interval]:
    """The parts of a span for which nobody knows whether the model was in use."""
    unknown = Intervals()
    unknown.add(span.began, min(span.ended, known.since))
    unknown.add(max(span.began, known.until), span.ended)
    for kill in known.kills:
        if span.began < kill <= span.ended:
            # A request that was in flight then may have begun at any time since the last one that is recorded.
            unknown.add(max(span.began, times.find_last_end(kill)), kill)
    return [
        part
        for interval in unknown.clip(span.began, span.ended)
        for part in subtract(interval, times.clip(*interval))
    ]
