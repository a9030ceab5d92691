"""Deletes old records, a few at a time: a long transaction would keep new records from the disk."""

from __future__ import annotations

import sqlite3
from typing import Final

from msgspec import Struct

from sparkd.usage.days import local_day
from sparkd.usage.tables import as_int

CHUNK: Final = 500
"""Rows that one step deletes."""

MAX_CHANGES: Final = 100_000
"""State changes and occurrences that are kept, each."""

MAX_SESSIONS: Final = 10_000
"""Starts of sparkd that are kept."""

MEASUREMENT_SECONDS: Final = 31 * 86400
"""How long measurements are kept."""


class Limits(Struct, frozen=True):
    """What is kept: so many requests, and everything for so many days."""

    max_requests: int
    keep_days: int


def delete_some(connection: sqlite3.Connection, limits: Limits, now: float) -> bool:
    """Delete one chunk of each table's old rows; return whether more may be left. Raises sqlite3.Error.

    The caller has a transaction. `now` is seconds since the epoch.
    """
    oldest = now - limits.keep_days * 86400
    deleted = (
        _delete_excess(connection, "requests", limits.max_requests),
        _delete_older(connection, "requests", "ended", oldest),
        _delete_excess(connection, "changes", MAX_CHANGES),
        _delete_older(connection, "changes", "at", oldest),
        _delete_excess(connection, "occurrences", MAX_CHANGES),
        _delete_older(connection, "occurrences", "at", oldest),
        _delete_days(connection, local_day(max(0.0, oldest))),
        _delete_sessions(connection, oldest),
        _delete_older(connection, "measurements", "at", now - MEASUREMENT_SECONDS),
    )
    return any(count >= CHUNK for count in deleted)


def _delete_excess(connection: sqlite3.Connection, table: str, most: int) -> int:
    """Delete the oldest of the rows beyond `most`. Their numbers grow by one with each row."""
    (last,) = connection.execute(f"SELECT max(number) FROM {table}").fetchone()  # noqa: S608 - a fixed name
    if last is None or last <= most:
        return 0
    return connection.execute(
        f"DELETE FROM {table} WHERE number IN "  # noqa: S608 - a fixed name
        f"(SELECT number FROM {table} WHERE number <= ? ORDER BY number LIMIT ?)",
        (last - most, CHUNK),
    ).rowcount


def _delete_older(connection: sqlite3.Connection, table: str, column: str, oldest: float) -> int:
    """Delete rows that are older than the time `oldest`."""
    return connection.execute(
        f"DELETE FROM {table} WHERE rowid IN "  # noqa: S608 - fixed names
        f"(SELECT rowid FROM {table} WHERE {column} < ? ORDER BY {column} LIMIT ?)",
        (oldest, CHUNK),
    ).rowcount


def _delete_days(connection: sqlite3.Connection, oldest: str) -> int:
    """Delete sums of days before `oldest`."""
    return connection.execute(
        "DELETE FROM days WHERE (day, model, client, program) IN "
        "(SELECT day, model, client, program FROM days WHERE day < ? ORDER BY day LIMIT ?)",
        (oldest, CHUNK),
    ).rowcount


def _delete_sessions(connection: sqlite3.Connection, oldest: float) -> int:
    """Delete sessions that ended before `oldest`, and the oldest beyond MAX_SESSIONS."""
    excess = as_int(connection.execute("SELECT count(*) FROM sessions").fetchone()) - MAX_SESSIONS
    return connection.execute(
        "DELETE FROM sessions WHERE began IN (SELECT began FROM sessions WHERE seen < ?1 ORDER BY began LIMIT ?2) "
        "OR began IN (SELECT began FROM sessions ORDER BY began LIMIT ?3)",
        (oldest, CHUNK, max(0, excess)),
    ).rowcount
