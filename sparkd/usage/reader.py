"""Reads usage.sqlite, beside the thread that writes it, or while no sparkd runs.

Methods that are not `async` block: call them in a thread.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from msgspec import structs

from sparkd.errors import UsageUnreadable
from sparkd.storage.database import is_damage, is_lock, open_in_memory, open_read_only
from sparkd.usage.active import ActiveRequest
from sparkd.usage.batch import Batch, overlay, write_batch
from sparkd.usage.columns import Aggregate
from sparkd.usage.history_query import read_history, read_model_history, read_summary
from sparkd.usage.intervals import Interval, Intervals
from sparkd.usage.measurement_queries import DayOfMeasurements, read_aggregates, read_days
from sparkd.usage.model_times import ModelTimes
from sparkd.usage.model_use import KnownUse, add_use, read_known_use
from sparkd.usage.model_uses import ModelUse, read_model_uses
from sparkd.usage.records import Measurement
from sparkd.usage.request_query import RequestQuery, read_requests
from sparkd.usage.results import History, HistorySummary, Lane, ModelHistory, RequestPage, UsageReport
from sparkd.usage.session import Session
from sparkd.usage.store import UsageStore
from sparkd.usage.tables import MEASUREMENT_COLUMNS, SCHEMA, measurement_of
from sparkd.usage.usage_query import UsageQuery, read_usage


class UsageReader:
    """Reads one file. `store` writes it, None if this program is not sparkd.

    Every method raises UsageUnreadable if the file cannot be read now.
    """

    def __init__(self, path: Path, store: UsageStore | None = None) -> None:
        self._path = path
        self._store = store
        self._times = ModelTimes()

    def requests(self, query: RequestQuery) -> RequestPage:
        """Return one page of finished requests. Raises InvalidCursor."""
        with self._connect() as connection:
            return read_requests(connection, query)

    def usage(self, query: UsageQuery) -> UsageReport:
        """Return usage by day or month."""
        with self._connect() as connection:
            return read_usage(connection, query)

    def model_uses(self) -> Mapping[str, ModelUse]:
        """Return when each model was used last, its loads and its speed."""
        with self._connect() as connection:
            return read_model_uses(connection)

    @property
    def version(self) -> int | None:
        """Changes with the records of requests and models. None if another program writes them."""
        return self._store.version if self._store else None

    def history(self, since: float, until: float, active: Sequence[ActiveRequest] = ()) -> History:
        """Return the lanes of all models between two times, in seconds since the epoch. `active` has the requests in
        flight."""
        now = time.time()
        with self._connect() as connection:
            history = read_history(connection, (since, until), self._session, now)
            period = (history.since, history.until)
            times, known = self._read_use(connection, period, active, now)
        return structs.replace(history, lanes=[add_use(lane, times, known, period) for lane in history.lanes])

    def model_history(
        self, model: str, since: float, until: float, active: Sequence[ActiveRequest] = ()
    ) -> ModelHistory:
        """Return the history of one model. `active`: requests in flight."""
        now = time.time()
        with self._connect() as connection:
            history = read_model_history(connection, model, (since, until), self._session, now)
            period = (history.since, history.until)
            times, known = self._read_use(connection, period, active, now)
        lane = add_use(Lane(model, history.spans), times, known, period)
        return structs.replace(history, spans=lane.spans, in_use=lane.in_use)

    def _read_use(
        self, connection: sqlite3.Connection, period: Interval, active: Sequence[ActiveRequest], now: float
    ) -> tuple[Mapping[str, Intervals], KnownUse]:
        """When models were in use, and for which times that is known."""
        is_recording = self._store is None or self._store.is_recording
        known = read_known_use(connection, period, self._session, is_recording=is_recording)
        return self._times.read(connection, period, active, now), known

    def history_summary(self, since: float, until: float) -> HistorySummary:
        """Return sums by day and by model."""
        with self._connect() as connection:
            return read_summary(connection, since, until)

    async def read_aggregates(self, *, since: float, until: float, step: int) -> Sequence[Aggregate]:
        """Return the minutes after `since`, up to `until`, combined into intervals of `step` seconds, from a thread."""
        return await asyncio.to_thread(self._read_aggregates, since, until, step)

    async def read_days(self, *, since: float, until: float) -> Sequence[DayOfMeasurements]:
        """Return what each day of measurements adds up to, from a thread."""
        return await asyncio.to_thread(self._read_days, since, until)

    def _read_aggregates(self, since: float, until: float, step: int) -> Sequence[Aggregate]:
        with self._connect() as connection:
            return read_aggregates(connection, since=since, until=until, step=step)

    def _read_days(self, since: float, until: float) -> Sequence[DayOfMeasurements]:
        with self._connect() as connection:
            return read_days(connection, since=since, until=until)

    def measurements(self, since: float, until: float) -> Sequence[Measurement]:
        """Return the measurements between two times, oldest first."""
        columns = ", ".join(MEASUREMENT_COLUMNS)
        with self._connect() as connection:
            rows = connection.execute(
                f"SELECT {columns} FROM measurements WHERE at >= ? AND at < ? ORDER BY at",  # noqa: S608
                (since, until),
            )
            return [measurement_of(row) for row in rows]

    def measurement_aggregates(self, *, since: float, until: float, step: int) -> list[Aggregate]:
        """Return the measurements after `since`, up to `until`, combined into intervals of `step` seconds."""
        with self._connect() as connection:
            return read_aggregates(connection, since=since, until=until, step=step)

    def measurement_days(self, *, since: float, until: float) -> list[DayOfMeasurements]:
        """Return what the measurements of each day add up to."""
        with self._connect() as connection:
            return read_days(connection, since=since, until=until)

    @property
    def _session(self) -> Session | None:
        return self._store.session if self._store else None

    @contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(self._open()) as connection:
                yield connection
        except sqlite3.Error as error:
            if self._store and is_damage(error):
                self._store.report_damage()
            raise UsageUnreadable(
                f"Cannot read {self._path}: {error}. If another program has locked it, try again.",
                retry_after=1.0,
            ) from error

    def _open(self) -> sqlite3.Connection:
        """A connection in a transaction that sees everything that was recorded so far."""
        if self._store is None:
            return open_read_only(self._path)
        with self._store.read_consistently() as pending:
            return _open_with(self._path, pending)


def _open_with(path: Path, pending: Batch) -> sqlite3.Connection:
    """A connection in a transaction on the file, and on what is not in it yet."""
    try:
        connection = open_read_only(path)
    except sqlite3.OperationalError as error:
        if is_lock(error):
            raise
        return _open_pending(pending)  # it cannot be opened, so everything that is known is in memory
    connection.execute("BEGIN")
    # This first read begins the transaction.
    if connection.execute("PRAGMA user_version").fetchone() != (SCHEMA.version,):
        connection.close()
        return _open_pending(pending)  # the writer is about to create or upgrade its tables
    if pending:
        overlay(connection, pending)
    return connection


def _open_pending(pending: Batch) -> sqlite3.Connection:
    connection = open_in_memory(SCHEMA)
    write_batch(connection, pending)
    return connection
