"""When engines worked on requests of each model, from the requests that are kept."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Mapping
from typing import Final

from sparkd.usage.active import ActiveRequest
from sparkd.usage.intervals import Interval, Intervals

_TIMES: Final = "SELECT model, ended - seconds + queue_seconds + load_seconds, ended FROM"
"""When the model was ready for each request, and when the request ended."""


class ModelTimes:
    """The times at which each model was in use. Reads only what is new since the last call, except for a period that
    begins earlier than all before: that takes 0.2 s if it has 100,000 requests. May be called from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._models: dict[str, Intervals] = {}
        self._since = float("inf")
        self._last: tuple[int, float] | None = None

    def read(
        self, connection: sqlite3.Connection, period: Interval, active: Iterable[ActiveRequest], now: float
    ) -> Mapping[str, Intervals]:
        """Return the times within a period, with those of the requests in flight. Raises sqlite3.Error."""
        with self._lock:
            self._update(connection, period[0])
            found = {model: times.copy(*period) for model, times in self._models.items()}
            last = self._last[0] if self._last else 0
        # What is not written yet may get other numbers.
        rows = connection.execute(f"{_TIMES} requests WHERE number > ?", (last,)).fetchall()
        rows += [(each.model, each.granted, now) for each in active if each.granted is not None]
        since, until = period
        for model, began, ended in rows:
            if began < until and ended > since:
                found.setdefault(model, Intervals()).add(began, ended)
        return found

    def _update(self, connection: sqlite3.Connection, since: float) -> None:
        """Read the requests that ended after `since` and were written since the last call, and forget deleted ones."""
        if since < self._since or (self._last and not self._is_same_file(connection, *self._last)):
            self._models, self._last, self._since = {}, None, min(since, self._since)
        last = self._last[0] if self._last else 0
        for model, began, ended in connection.execute(
            f"{_TIMES} main.requests WHERE number > ? AND ended > ?", (last, self._since)
        ):
            times = self._models.get(model)
            if times is None:
                times = self._models[model] = Intervals()
            times.add(began, ended)
        self._last = connection.execute(
            "SELECT number, ended FROM main.requests ORDER BY number DESC LIMIT 1"
        ).fetchone()
        oldest = connection.execute("SELECT min(ended) FROM main.requests").fetchone()[0] or 0.0
        for model, times in list(self._models.items()):
            times.remove_before(oldest)
            if not times:
                del self._models[model]

    def _is_same_file(self, connection: sqlite3.Connection, number: int, ended: float) -> bool:
        row = connection.execute("SELECT ended FROM main.requests WHERE number = ?", (number,)).fetchone()
        return bool(row == (ended,))
