"""Usage by day or month, from the sums that are kept by day."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, Final, Literal

from msgspec import Struct

from sparkd.usage.results import UsageReport, UsageRow, UsageSums
from sparkd.usage.tables import SUM_COLUMNS

GROUPS: Final = ("model", "client", "program")
MAX_ROWS: Final = 5000
"""Rows of one report."""

PERIODS: Final = {"day": "day", "month": "substr(day, 1, 7)"}


class UsageQuery(Struct, frozen=True, kw_only=True):
    """`since` and `until` are the first and the last local day, as YYYY-MM-DD; "" means no limit. `group` are GROUPS;
    the others filter."""

    by: Literal["day", "month"] = "day"
    group: tuple[str, ...] = ("model",)
    since: str = ""
    until: str = ""
    model: str = ""
    client: str = ""
    program: str = ""


def read_usage(connection: sqlite3.Connection, query: UsageQuery) -> UsageReport:
    """Read the sums. Raises sqlite3.Error."""
    where, values = _build_filter(query)
    sums = ", ".join(f"sum({name})" for name in SUM_COLUMNS)
    columns = ", ".join((PERIODS[query.by], *query.group))
    order = ", ".join((f"{PERIODS[query.by]} DESC", "sum(requests) DESC", *query.group))
    rows = connection.execute(
        f"SELECT {columns}, {sums} FROM days {where} GROUP BY {columns} ORDER BY {order} LIMIT ?",  # noqa: S608
        (*values, MAX_ROWS + 1),
    ).fetchall()
    total = connection.execute(f"SELECT {sums} FROM days {where}", values).fetchone()  # noqa: S608
    return UsageReport(
        by=query.by,
        group=query.group,
        rows=[_build_row(query.group, row) for row in rows[:MAX_ROWS]],
        total=UsageSums(**_build_sums([value or 0 for value in total])),
        truncated=len(rows) > MAX_ROWS,
    )


def _build_filter(query: UsageQuery) -> tuple[str, list[Any]]:
    limits = {
        "day >= ?": query.since,
        "day <= ?": query.until,
        "model = ?": query.model,
        "client = ?": query.client,
        "program = ?": query.program,
    }
    used = {condition: value for condition, value in limits.items() if value}
    return f"WHERE {' AND '.join(used)}" if used else "", list(used.values())


def _build_row(group: Sequence[str], row: Sequence[Any]) -> UsageRow:
    names = dict(zip(group, row[1:], strict=False))
    return UsageRow(period=row[0], **names, **_build_sums(row[1 + len(group) :]))


def _build_sums(values: Sequence[Any]) -> dict[str, Any]:
    """Sums as they are shown: unknown is None, and means instead of sums."""
    sums = dict(zip(SUM_COLUMNS, values, strict=True))
    shown = {name: sums[name] for name in ("requests", "failed", "disconnected", "counted", "busy_seconds")}
    for name in ("tokens_in", "tokens_cached", "tokens_out"):
        # Nothing is known about tokens if no request has counts; without a request there were none.
        shown[name] = sums[name] if sums["counted"] or not sums["requests"] else None
    shown["first_token_seconds"] = _divide(sums["first_token_seconds"], sums["first_tokens"])
    shown["tokens_per_second"] = _divide(sums["timed_tokens"], sums["output_seconds"])
    return shown


def _divide(amount: float, count: float) -> float | None:
    return amount / count if count else None
