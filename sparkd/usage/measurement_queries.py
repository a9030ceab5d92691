"""Reads measurements of minutes from the database, already combined: SQLite is faster at that than Python."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from sparkd.usage.columns import Aggregate
from sparkd.usage.recent import MAXIMA, MINUTE, VALUES
from sparkd.usage.records import Measurement

_MEANS: Final = ", ".join(f"{'max' if name in MAXIMA else 'avg'}({name})" for name in VALUES)
_LOWS: Final = ", ".join(f"min({name})" for name in VALUES)
_HIGHS: Final = ", ".join(f"max({name})" for name in VALUES)

_AGGREGATES: Final = f"""
    SELECT (CAST(at AS INTEGER) + :step - 1) / :step AS number, count(*), {_MEANS}, {_LOWS}, {_HIGHS}
    FROM measurements WHERE at > :since AND at <= :until GROUP BY number ORDER BY number
"""  # noqa: S608 - names of fields

# With exactly one max(), SQLite takes the other columns from the row that has the maximum.
_DAYS: Final = """
    SELECT strftime('%Y-%m-%d', at - 30, 'unixepoch', 'localtime') AS day,
        max(peak_out), at, sum(power), count(power), count(*)
    FROM measurements WHERE at > :since AND at <= :until GROUP BY day ORDER BY day
"""


class DayOfMeasurements(Struct, frozen=True, kw_only=True):
    """One day of the machine's time zone.

    `energy` is what the GPU used, in joules, in the `energy_seconds` in which its power was known; None if it never
    was. `peak_out` is the highest number of generated tokens per second over 5 seconds, and `peak_at` the end of its
    minute. `measured_seconds` is how long sparkd measured.
    """

    day: str
    energy: float | None
    energy_seconds: float
    peak_out: float | None
    peak_at: float | None
    measured_seconds: float


def read_aggregates(
    connection: sqlite3.Connection, *, since: float, until: float, step: int
) -> list[Aggregate]:
    """Combine the minutes after `since`, up to `until`, into intervals of `step` seconds."""
    rows = connection.execute(_AGGREGATES, {"since": since, "until": until, "step": step})
    width = len(VALUES)
    return [
        Aggregate(
            row[0] * step,
            row[1],
            *(
                _measurement(row[0] * step, row[2 + width * part : 2 + width * (part + 1)])
                for part in range(3)
            ),
        )
        for row in rows
    ]


def read_days(connection: sqlite3.Connection, *, since: float, until: float) -> list[DayOfMeasurements]:
    """What each day adds up to, for days in which sparkd measured."""
    rows = connection.execute(_DAYS, {"since": since, "until": until})
    return [
        DayOfMeasurements(
            day=day,
            energy=None if power is None else round(power * MINUTE),
            energy_seconds=known * MINUTE,
            peak_out=peak,
            peak_at=None if peak is None else at,
            measured_seconds=measured * MINUTE,
        )
        for day, peak, at, power, known, measured in rows
    ]


def _measurement(at: float, values: Sequence[float | None]) -> Measurement:
    return Measurement(
        at=at, **{name: value for name, value in zip(VALUES, values, strict=True) if value is not None}
    )
