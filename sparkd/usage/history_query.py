"""The history of models in a period: lanes, what else happened, and sums."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from statistics import median
from typing import Any, Final

import msgspec

from sparkd.usage.lanes import KnownTime, build_lanes, build_spans, find_known_times
from sparkd.usage.records import Occurrence, StateChange
from sparkd.usage.results import (
    DaySummary,
    History,
    HistorySummary,
    LoadSummary,
    ModelHistory,
    SessionSpan,
)
from sparkd.usage.session import Session
from sparkd.usage.tables import CHANGE_COLUMNS, OCCURRENCE_COLUMNS, change_of, occurrence_of

MAX_CHANGES: Final = 10_000
"""State changes of one response. A month of a busy machine has fewer."""

MAX_OCCURRENCES: Final = 1000

_CHANGES: Final = ", ".join(CHANGE_COLUMNS)
_OCCURRENCES: Final = ", ".join(OCCURRENCE_COLUMNS)


Period = tuple[float, float]
"""From the first time to the second, in seconds since the epoch."""


def read_history(
    connection: sqlite3.Connection, period: Period, running: Session | None, now: float
) -> History:
    """Read the lanes of all models. `running` is the program that reads, if it is sparkd. Raises sqlite3.Error."""
    since, until = period
    sessions, known = read_sessions(connection, running, now)
    until = min(until, max(now, since))
    changes, is_truncated = _read_changes(connection, since, until, "")
    if is_truncated and changes:
        since = changes[0].at
    first = next((time.began for time in known if time.began <= since < time.ended), since)
    return History(
        since=since,
        until=until,
        lanes=build_lanes(_group(_read_before(connection, first, since), changes), known, since, until),
        occurrences=_read_occurrences(connection, since, until),
        sessions=[each for each in sessions if each.ended >= since and each.began < until],
        truncated=is_truncated,
    )


def read_model_history(
    connection: sqlite3.Connection, model: str, period: Period, running: Session | None, now: float
) -> ModelHistory:
    """Read the history of one model. Raises sqlite3.Error."""
    since, until = period
    _, known = read_sessions(connection, running, now)
    until = min(until, max(now, since))
    changes, is_truncated = _read_changes(connection, since, until, model)
    if is_truncated and changes:
        since = changes[0].at
    first = next((time.began for time in known if time.began <= since < time.ended), since)
    before = [each for each in _read_before(connection, first, since) if each.model == model]
    loads = _summarize_loads(connection, since, until)
    return ModelHistory(
        model=model,
        since=since,
        until=until,
        spans=build_spans(model, [*before, *changes], known, since, until),
        occurrences=_read_occurrences(connection, since, until, model),
        loads=next((each for each in loads if each.model == model), _no_loads(model)),
        truncated=is_truncated,
    )


def read_summary(connection: sqlite3.Connection, since: float, until: float) -> HistorySummary:
    """Read sums by day and by model. Raises sqlite3.Error."""
    return HistorySummary(
        since=since,
        until=until,
        days=_summarize_days(connection, since, until),
        models=_summarize_loads(connection, since, until),
        guard_events=_read_occurrences(connection, since, until, kind="guard"),
    )


def read_sessions(
    connection: sqlite3.Connection, running: Session | None, now: float
) -> tuple[list[SessionSpan], list[KnownTime]]:
    """When sparkd ran, oldest first."""
    rows = connection.execute(
        "SELECT began, seen, ended, version, kept FROM sessions ORDER BY began"
    ).fetchall()
    if running and not any(row[0] == running.began for row in rows):
        kept = None if running.kept is None else msgspec.json.encode(sorted(running.kept))
        rows.append((running.began, now, None, running.version, kept))
    takes_over = [row[4] is not None for row in rows]
    sessions = [
        _session_span(row, running, now, is_replaced=takes_over[place + 1 : place + 2] == [True])
        for place, row in enumerate(rows)
    ]
    kept_models = [None if row[4] is None else frozenset(msgspec.json.decode(row[4])) for row in rows]
    return sessions, find_known_times(sessions, kept_models)


def _session_span(
    row: tuple[Any, ...], running: Session | None, now: float, *, is_replaced: bool
) -> SessionSpan:
    began, seen, ended, version, _ = row
    if running and began == running.began:
        return SessionSpan(began=began, ended=max(now, began), version=version, end="running")
    end = "killed" if ended is None else "replaced" if is_replaced else "stopped"
    return SessionSpan(began=began, ended=ended or seen, version=version, end=end)  # type: ignore[arg-type]


def _read_changes(
    connection: sqlite3.Connection, since: float, until: float, model: str
) -> tuple[list[StateChange], bool]:
    """The changes of a period, oldest first: the newest MAX_CHANGES; and whether there are more."""
    condition = "AND model = ?" if model else ""
    rows = connection.execute(
        f"SELECT {_CHANGES} FROM changes WHERE at >= ? AND at < ? {condition} "  # noqa: S608 - fixed names
        "ORDER BY at DESC, number DESC LIMIT ?",
        (since, until, *([model] if model else []), MAX_CHANGES + 1),
    ).fetchall()
    changes = [change_of(row) for row in reversed(rows[:MAX_CHANGES])]
    return changes, len(rows) > MAX_CHANGES


def _read_before(connection: sqlite3.Connection, first: float, since: float) -> list[StateChange]:
    """Each model's last change from `first` until `since`."""
    rows = connection.execute(
        f"SELECT {_CHANGES} FROM changes WHERE number IN "  # noqa: S608 - fixed names
        "(SELECT max(number) FROM changes WHERE at >= ? AND at < ? GROUP BY model)",
        (first, since),
    )
    return [change_of(row) for row in rows]


def _group(*parts: Iterable[StateChange]) -> dict[str, list[StateChange]]:
    grouped: dict[str, list[StateChange]] = {}
    for part in parts:
        for change in part:
            grouped.setdefault(change.model, []).append(change)
    return grouped


def _read_occurrences(
    connection: sqlite3.Connection, since: float, until: float, model: str = "", kind: str = ""
) -> list[Occurrence]:
    """What else happened, oldest first: the newest MAX_OCCURRENCES."""
    filters = {"model = ?": model, "kind = ?": kind}
    conditions = "".join(f" AND {condition}" for condition, value in filters.items() if value)
    rows = connection.execute(
        f"SELECT {_OCCURRENCES} FROM occurrences WHERE at >= ? AND at < ?{conditions} "  # noqa: S608
        "ORDER BY at DESC, number DESC LIMIT ?",
        (since, until, *(value for value in filters.values() if value), MAX_OCCURRENCES),
    ).fetchall()
    return [occurrence_of(row) for row in reversed(rows)]


def _summarize_days(connection: sqlite3.Connection, since: float, until: float) -> list[DaySummary]:
    """One row for each local day, newest first."""
    is_end = "state IN ('stopped', 'backoff')"  # exactly one of these changes ends a run, with the reason
    rows = connection.execute(
        "SELECT date(at, 'unixepoch', 'localtime') AS day, "  # noqa: S608 - fixed text
        "sum(state = 'starting'), sum(state = 'backoff' AND before = 'starting'), "
        f"sum({is_end} AND stop_reason = 'evicted'), sum({is_end} AND stop_reason = 'crash' AND before != 'starting'), "
        f"sum({is_end} AND stop_reason = 'guard') "
        "FROM changes WHERE at >= ? AND at < ? GROUP BY day ORDER BY day DESC",
        (since, until),
    )
    return [
        DaySummary(
            day=day, loads=loads, failed_loads=failed, swaps=swaps, crashes=crashes or 0, guard=guard or 0
        )
        for day, loads, failed, swaps, crashes, guard in rows
    ]


def _summarize_loads(connection: sqlite3.Connection, since: float, until: float) -> list[LoadSummary]:
    """The loads of each model that was loaded, the one with most loads first."""
    rows = connection.execute(
        "SELECT model, state, before, after, at FROM changes WHERE at >= ? AND at < ? "
        "AND state IN ('ready', 'backoff') ORDER BY number",
        (since, until),
    )
    seconds: dict[str, list[float]] = {}
    failed: dict[str, int] = {}
    last: dict[str, float] = {}
    for model, state, before, after, at in rows:
        if state == "ready":
            seconds.setdefault(model, []).append(after)
            last[model] = at
        elif before == "starting":
            failed[model] = failed.get(model, 0) + 1
    summaries = [
        LoadSummary(
            model=model,
            loads=len(seconds.get(model, ())),
            failed=failed.get(model, 0),
            median_seconds=median(seconds[model]) if model in seconds else None,
            last=last.get(model),
        )
        for model in seconds.keys() | failed.keys()
    ]
    return sorted(summaries, key=lambda each: (-each.loads, -each.failed, each.model))


def _no_loads(model: str) -> LoadSummary:
    return LoadSummary(model=model, loads=0, failed=0, median_seconds=None, last=None)
