"""A query for finished requests: filter, order and place, as one SELECT."""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import Sequence
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from sparkd.usage.days import DISCONNECTED
from sparkd.usage.records import RequestRecord
from sparkd.usage.results import RequestPage
from sparkd.usage.tables import REQUEST_COLUMNS, as_int, request_of

DEFAULT_LIMIT: Final = 100
MAX_LIMIT: Final = 1000

STATUS_CLASSES: Final = {
    "ok": "status < 400",
    "error": f"status >= 400 AND status <> {DISCONNECTED}",
    "disconnected": f"status = {DISCONNECTED}",
    "2xx": "status BETWEEN 200 AND 299",
    "3xx": "status BETWEEN 300 AND 399",
    "4xx": "status BETWEEN 400 AND 499",
    "5xx": "status BETWEEN 500 AND 599",
}
"""Values of `status` besides numbers."""


class RequestQuery(Struct, frozen=True, kw_only=True):
    """Which requests, in which order. "" and None: no filter.

    `status` is a number or a key of STATUS_CLASSES. `since` and `until` limit the end of a request, `text` is part of
    an id or name. `sort` is a field of RequestRecord; unknown values come last. `before` is a page's `next`, and
    `after` a page's `latest`: only newer requests.
    """

    model: str = ""
    client: str = ""
    program: str = ""
    endpoint: str = ""
    status: str = ""
    code: str = ""
    text: str = ""
    since: float | None = None
    until: float | None = None
    sort: str = "ended"
    order: Literal["asc", "desc"] = "desc"
    limit: int = DEFAULT_LIMIT
    before: str = ""
    after: int | None = None


class InvalidCursor(ValueError):
    """The text is not a cursor that a page had as its `next`, for the same order."""


class Cursor(Struct, frozen=True, array_like=True):
    """The last row of a page: by what it was sorted, its value and its number."""

    sort: str
    order: str
    value: float | int | str | None
    number: int

    def encode(self) -> str:
        """The cursor as a text for a URL."""
        return base64.urlsafe_b64encode(msgspec.json.encode(self)).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str, query: RequestQuery) -> Cursor:
        """Raises InvalidCursor."""
        try:
            found = msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=cls)
        except (ValueError, msgspec.DecodeError):
            raise InvalidCursor from None
        if (found.sort, found.order) != (query.sort, query.order) or abs(found.number) >= 2**63:
            raise InvalidCursor
        return found


def read_requests(connection: sqlite3.Connection, query: RequestQuery) -> RequestPage:
    """Read one page. Raises InvalidCursor, and sqlite3.Error."""
    conditions, values = build_filter(query)
    page_conditions, page_values = _build_place(query)
    rows = _select(connection, query, [*conditions, *page_conditions], [*values, *page_values])
    shown = rows[: query.limit]
    latest = as_int(connection.execute("SELECT max(number) FROM requests").fetchone())
    kept = as_int(connection.execute("SELECT count(*) FROM requests").fetchone())
    return RequestPage(
        requests=[request_of(row[1:]) for row in shown],
        next=_cursor_of(query, shown[-1]) if len(rows) > query.limit else None,
        latest=latest,
        matching=None if query.before else _count(connection, conditions, values, kept),
        kept=kept,
    )


def build_filter(query: RequestQuery) -> tuple[list[str], list[Any]]:
    """The conditions of a query's filter, and their values."""
    conditions: list[str] = []
    values: list[Any] = []
    for column in ("model", "client", "program", "endpoint", "code"):
        if value := getattr(query, column):
            conditions.append(f"{column} = ?")
            values.append(value)
    if query.status:
        conditions.append(STATUS_CLASSES.get(query.status) or f"status = {int(query.status)}")
    for limit, condition in (
        (query.since, "ended >= ?"),
        (query.until, "ended < ?"),
        (query.after, "number > ?"),
    ):
        if limit is not None:
            conditions.append(condition)
            values.append(limit)
    if query.text:
        conditions.append("instr(search, ?)")
        values.append(query.text.lower())
    return conditions, values


def _build_place(query: RequestQuery) -> tuple[list[str], list[Any]]:
    """The conditions for the rows after the cursor. Rows with an unknown value are last in both orders."""
    if not query.before:
        return [], []
    cursor, column = Cursor.decode(query.before, query), query.sort
    beyond = "<" if query.order == "desc" else ">"
    if cursor.value is None:
        return [f"{column} IS NULL AND number {beyond} ?"], [cursor.number]
    unknown = f" OR {column} IS NULL" if column in NULLABLE else ""
    # The first condition can use an index, the second one is exact.
    bound = f"({column} {beyond}= ?{unknown})"
    exact = f"({column} {beyond} ? OR ({column} = ? AND number {beyond} ?){unknown})"
    return [bound, exact], [cursor.value, cursor.value, cursor.value, cursor.number]


NULLABLE: Final = ("gone", "first_token_seconds", "tokens_in", "tokens_cached", "tokens_out")


def _select(
    connection: sqlite3.Connection, query: RequestQuery, conditions: Sequence[str], values: Sequence[Any]
) -> list[tuple[Any, ...]]:
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    unknown_last = f"{query.sort} IS NULL, " if query.sort in NULLABLE else ""
    order = f"{unknown_last}{query.sort} {query.order}, number {query.order}"
    # The inner SELECT sorts numbers only: whole rows would be copied into the sorter.
    return connection.execute(
        f"SELECT number, {', '.join(REQUEST_COLUMNS)} FROM requests WHERE number IN "  # noqa: S608 - fixed names
        f"(SELECT number FROM requests {where} ORDER BY {order} LIMIT ?) ORDER BY {order}",
        (*values, query.limit + 1),
    ).fetchall()


def _count(
    connection: sqlite3.Connection, conditions: Sequence[str], values: Sequence[Any], kept: int
) -> int:
    if not conditions:
        return kept
    statement = f"SELECT count(*) FROM requests WHERE {' AND '.join(conditions)}"  # noqa: S608 - fixed names
    return as_int(connection.execute(statement, values).fetchone())


def _cursor_of(query: RequestQuery, row: Sequence[Any]) -> str:
    value = row[1 + REQUEST_COLUMNS.index(query.sort)]
    return Cursor(query.sort, query.order, value, row[0]).encode()


def sortable_columns() -> tuple[str, ...]:
    """The fields of RequestRecord."""
    return RequestRecord.__struct_fields__
