"""Records that are not on the disk yet, bounded, and how they are written and overlaid."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any, Final

from msgspec import Struct, field

from sparkd.usage.days import sum_by_day
from sparkd.usage.records import Measurement, Occurrence, RequestRecord, StateChange
from sparkd.usage.tables import (
    CHANGE_COLUMNS,
    MEASUREMENT_COLUMNS,
    OCCURRENCE_COLUMNS,
    REQUEST_COLUMNS,
    SEARCHED,
    SUM_COLUMNS,
    as_int,
    insert_statement,
    is_storable,
    row_of,
)

MAX_PENDING: Final = 20_000
"""Records of each kind that wait in memory while the file cannot be written. The oldest are dropped: they take some
20 MB, and a disk that is full for days must not fill the memory."""

DAY_COLUMNS: Final = ("day", "model", "client", "program")
ADD_TO_DAY: Final = (
    insert_statement("days", (*DAY_COLUMNS, *SUM_COLUMNS))
    + " ON CONFLICT DO UPDATE SET "
    + ", ".join(f"{name} = {name} + excluded.{name}" for name in SUM_COLUMNS)
)


class Batch(Struct):
    """Records in the order in which they came. `dropped` counts those that were too many."""

    requests: list[RequestRecord] = field(default_factory=list)
    changes: list[StateChange] = field(default_factory=list)
    occurrences: list[Occurrence] = field(default_factory=list)
    measurements: list[Measurement] = field(default_factory=list)
    dropped: int = 0

    def __bool__(self) -> bool:
        return bool(self.requests or self.changes or self.occurrences or self.measurements)

    def __len__(self) -> int:
        return len(self.requests) + len(self.changes) + len(self.occurrences) + len(self.measurements)

    def append(self, newer: Batch) -> None:
        """Add the records of a newer batch, within the bound."""
        self.requests += newer.requests
        self.changes += newer.changes
        self.occurrences += newer.occurrences
        self.measurements += newer.measurements
        self.dropped += newer.dropped
        self._limit()

    def put_before(self, newer: Batch) -> Batch:
        """Return a batch of this one and a newer one, within the bound."""
        joined = Batch()
        joined.append(self)
        joined.append(newer)
        return joined

    def drop_unstorable(self) -> None:
        """Drop the records that cannot be stored because of a bug in what made them."""
        for records in (self.requests, self.changes, self.occurrences, self.measurements):
            kept = [record for record in records if is_storable(record)]
            self.dropped += len(records) - len(kept)
            records[:] = kept  # type: ignore[assignment]

    def _limit(self) -> None:
        """Drop the oldest records of a kind that has too many."""
        for records in (self.requests, self.changes, self.occurrences, self.measurements):
            if (excess := len(records) - MAX_PENDING) > 0:
                del records[:excess]
                self.dropped += excess


def write_batch(connection: sqlite3.Connection, batch: Batch) -> None:
    """Insert a batch, and add its requests to their days. The caller has a transaction. Raises sqlite3.Error."""
    for table, columns, records in _inserts(batch):
        statement = insert_statement(table, columns, or_replace=table == "measurements")
        connection.executemany(statement, map(row_of, records))
    connection.executemany(ADD_TO_DAY, _day_rows(batch.requests))


def overlay(connection: sqlite3.Connection, batch: Batch) -> None:
    """Have a reading connection see a batch that is not written, by views that hide tables. Raises sqlite3.Error."""
    for table, columns, records in _inserts(batch):
        if records:
            rows = list(map(row_of, records))
            _overlay_table(connection, table, columns, rows, is_numbered=table != "measurements")
    if batch.requests:
        columns = (*DAY_COLUMNS, *SUM_COLUMNS)
        _overlay_table(connection, "days", columns, list(_day_rows(batch.requests)), is_numbered=False)


def _inserts(batch: Batch) -> Iterable[tuple[str, Sequence[str], Sequence[Any]]]:
    yield "requests", REQUEST_COLUMNS, batch.requests
    yield "changes", CHANGE_COLUMNS, batch.changes
    yield "occurrences", OCCURRENCE_COLUMNS, batch.occurrences
    yield "measurements", MEASUREMENT_COLUMNS, batch.measurements


def _day_rows(requests: Iterable[RequestRecord]) -> Iterable[tuple[Any, ...]]:
    return ((*key, *sums) for key, sums in sum_by_day(requests).items())


def _overlay_table(
    connection: sqlite3.Connection,
    table: str,
    columns: Sequence[str],
    rows: Iterable[tuple[Any, ...]],
    *,
    is_numbered: bool,
) -> None:
    pending = f"pending_{table}"
    names = ("number", *columns) if is_numbered else tuple(columns)
    fields = ", ".join(names)
    if is_numbered:
        last = as_int(connection.execute(f"SELECT max(number) FROM main.{table}").fetchone())  # noqa: S608
        rows = ((last + place, *row) for place, row in enumerate(rows, 1))
    connection.execute(f"CREATE TEMP TABLE {pending} ({fields})")
    connection.executemany(insert_statement(pending, names), rows)
    shown = f"{fields}, {SEARCHED} AS search" if table == "requests" else fields
    connection.execute(
        f"CREATE TEMP VIEW {table} AS SELECT {shown} FROM main.{table} "  # noqa: S608 - fixed names
        f"UNION ALL SELECT {shown} FROM temp.{pending}"
    )
