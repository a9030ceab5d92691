"""The tables of usage.sqlite, and the conversion between their rows and records."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final, cast

from sparkd.storage.database import Schema
from sparkd.usage.records import Measurement, Occurrence, RequestRecord, StateChange

SEARCHED: Final = "lower(id || ' ' || model || ' ' || asked || ' ' || client || ' ' || program)"
"""What a search for a text looks through: stored with each request, because five columns take five times as long."""

CREATE: Final = """
CREATE TABLE requests (
    number INTEGER PRIMARY KEY, ended REAL NOT NULL, search TEXT GENERATED ALWAYS AS (SEARCHED) STORED,
    id TEXT NOT NULL, model TEXT NOT NULL, asked TEXT NOT NULL,
    client TEXT NOT NULL, program TEXT NOT NULL, endpoint TEXT NOT NULL, status INTEGER NOT NULL, code TEXT NOT NULL,
    gone TEXT, streamed INTEGER NOT NULL, queue_seconds REAL NOT NULL, load_seconds REAL NOT NULL,
    first_token_seconds REAL, seconds REAL NOT NULL, tokens_in INTEGER, tokens_cached INTEGER, tokens_out INTEGER,
    rewrites TEXT NOT NULL, heartbeats INTEGER NOT NULL
);
CREATE INDEX requests_by_end ON requests (ended);
CREATE INDEX requests_by_model ON requests (model, ended);
CREATE INDEX requests_by_client ON requests (client, ended);
CREATE INDEX requests_by_status ON requests (status, ended);
CREATE TABLE days (
    day TEXT NOT NULL, model TEXT NOT NULL, client TEXT NOT NULL, program TEXT NOT NULL, requests INTEGER NOT NULL,
    failed INTEGER NOT NULL, disconnected INTEGER NOT NULL, counted INTEGER NOT NULL, tokens_in INTEGER NOT NULL,
    tokens_cached INTEGER NOT NULL, tokens_out INTEGER NOT NULL, busy_seconds REAL NOT NULL,
    first_tokens INTEGER NOT NULL, first_token_seconds REAL NOT NULL, timed_tokens INTEGER NOT NULL,
    output_seconds REAL NOT NULL,
    PRIMARY KEY (day, model, client, program)
) WITHOUT ROWID;
CREATE TABLE changes (
    number INTEGER PRIMARY KEY, at REAL NOT NULL, model TEXT NOT NULL, run INTEGER NOT NULL, state TEXT NOT NULL,
    after REAL NOT NULL, before TEXT NOT NULL, stop_reason TEXT, text TEXT NOT NULL, evicted_for TEXT NOT NULL
);
CREATE INDEX changes_by_time ON changes (at);
CREATE INDEX changes_by_model ON changes (model, at);
CREATE TABLE occurrences (
    number INTEGER PRIMARY KEY, at REAL NOT NULL, kind TEXT NOT NULL, model TEXT NOT NULL, text TEXT NOT NULL
);
CREATE INDEX occurrences_by_time ON occurrences (at);
CREATE TABLE sessions (
    began REAL PRIMARY KEY, seen REAL NOT NULL, ended REAL, version TEXT NOT NULL, kept TEXT
);
CREATE TABLE measurements (
    at REAL PRIMARY KEY, tokens_in REAL, tokens_out REAL, in_flight REAL, waiting REAL, available REAL, used REAL,
    gpu REAL, temperature REAL, power REAL, clock REAL, pressure REAL, peak_out REAL
);
"""
"""`days` has sums. `counted` are the requests with known tokens, `first_tokens` those with a known first token.
`sessions` has a row for each program that ran as sparkd: `seen` is when it was last alive, `ended` when it stopped or
was replaced, and `kept` the models whose engines it took over from the one before, as JSON; null if it took over none
because none ran before."""

SCHEMA: Final = Schema(version=1, create=CREATE.replace("SEARCHED", SEARCHED))

REQUEST_COLUMNS: Final = RequestRecord.__struct_fields__
CHANGE_COLUMNS: Final = StateChange.__struct_fields__
OCCURRENCE_COLUMNS: Final = Occurrence.__struct_fields__
MEASUREMENT_COLUMNS: Final = Measurement.__struct_fields__
SUM_COLUMNS: Final = (
    "requests",
    "failed",
    "disconnected",
    "counted",
    "tokens_in",
    "tokens_cached",
    "tokens_out",
    "busy_seconds",
    "first_tokens",
    "first_token_seconds",
    "timed_tokens",
    "output_seconds",
)

_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_REWRITES: Final = REQUEST_COLUMNS.index("rewrites")


def row_of(record: RequestRecord | StateChange | Occurrence | Measurement) -> tuple[Any, ...]:
    """The values of a row, in the order of the record's fields."""
    values = tuple(getattr(record, name) for name in record.__struct_fields__)
    if isinstance(record, RequestRecord):
        return (*values[:_REWRITES], " ".join(record.rewrites), *values[_REWRITES + 1 :])
    return values


def is_storable(record: RequestRecord | StateChange | Occurrence | Measurement) -> bool:
    """Whether SQLite can store every value: integers of 64 bits, text that UTF-8 can express, no NaN."""
    return all(map(_is_storable, row_of(record)))


def _is_storable(value: object) -> bool:
    if isinstance(value, str):
        return value.isascii() or not _SURROGATE.search(value)
    return not isinstance(value, int | float) or value == float("inf") or -(2**63) <= value < 2**63


def request_of(row: Sequence[Any]) -> RequestRecord:
    """The request of a row with REQUEST_COLUMNS."""
    fields = dict(zip(REQUEST_COLUMNS, row, strict=True))
    fields["rewrites"] = tuple(str(fields["rewrites"]).split())
    fields["streamed"] = bool(fields["streamed"])
    return RequestRecord(**fields)


def change_of(row: Sequence[Any]) -> StateChange:
    """The state change of a row with CHANGE_COLUMNS."""
    return StateChange(**dict(zip(CHANGE_COLUMNS, row, strict=True)))


def occurrence_of(row: Sequence[Any]) -> Occurrence:
    """The occurrence of a row with OCCURRENCE_COLUMNS."""
    return Occurrence(**dict(zip(OCCURRENCE_COLUMNS, row, strict=True)))


def measurement_of(row: Sequence[Any]) -> Measurement:
    """The measurement of a row with MEASUREMENT_COLUMNS."""
    return Measurement(**dict(zip(MEASUREMENT_COLUMNS, row, strict=True)))


def insert_statement(table: str, columns: Sequence[str], *, or_replace: bool = False) -> str:
    """An INSERT of one row. Table and columns are those of this file."""
    verb = "INSERT OR REPLACE" if or_replace else "INSERT"
    marks = ", ".join("?" for _ in columns)
    return f"{verb} INTO {table} ({', '.join(columns)}) VALUES ({marks})"


def as_int(row: Sequence[Any] | None) -> int:
    """The number in the only column of a row; 0 if there is no row or no number in it."""
    return cast("int", row[0] or 0) if row else 0
