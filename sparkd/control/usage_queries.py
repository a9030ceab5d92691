"""Queries of the endpoints of requests, usage and history. Every function raises InvalidRequest, which names the
parameter and the nearest valid value."""

from __future__ import annotations

import datetime
import time
from collections.abc import Collection, Mapping
from typing import Final, Literal, cast

from sparkd.catalog.nearest import did_you_mean
from sparkd.errors import InvalidRequest
from sparkd.usage.days import local_day
from sparkd.usage.request_query import (
    DEFAULT_LIMIT,
    MAX_LIMIT,
    STATUS_CLASSES,
    Cursor,
    InvalidCursor,
    RequestQuery,
    sortable_columns,
)
from sparkd.usage.usage_query import GROUPS, UsageQuery

DAY: Final = 86400.0
MAX_TIME: Final = 253_402_300_800.0
"""The year 10000, in seconds since the epoch."""

FILTERS: Final = ("model", "client", "program", "endpoint", "code", "text")
REQUEST_PARAMETERS: Final = (*FILTERS, "status", "from", "to", "sort", "order", "limit", "before", "after")
USAGE_PARAMETERS: Final = ("by", "group", "from", "to", "model", "client", "program")
HISTORY_PARAMETERS: Final = ("from", "to", "model")


def parse_request_query(query: Mapping[str, str]) -> RequestQuery:
    """The filter, order and place of a list of requests."""
    _check_names(query, REQUEST_PARAMETERS)
    parsed = RequestQuery(
        **{name: query.get(name, "") for name in FILTERS},
        status=_parse_status(query.get("status", "")),
        since=parse_time(query, "from"),
        until=parse_time(query, "to"),
        sort=_parse_choice(query, "sort", sortable_columns(), "ended"),
        order=cast("Literal['asc', 'desc']", _parse_choice(query, "order", ("asc", "desc"), "desc")),
        limit=_parse_number(query, "limit", 1, MAX_LIMIT) or DEFAULT_LIMIT,
        before=query.get("before", ""),
        after=_parse_number(query, "after", 0, 2**62),
    )
    if parsed.before:
        try:
            Cursor.decode(parsed.before, parsed)
        except InvalidCursor:
            text = "before is not the `next` of a page with the same sort and order. Leave it out for the first page."
            raise InvalidRequest(text, param="before") from None
    return parsed


def parse_usage_query(query: Mapping[str, str]) -> UsageQuery:
    """By what usage is added up, and for which days."""
    _check_names(query, USAGE_PARAMETERS)
    names = [name for name in query.get("group", "model").split(",") if name]
    for name in names:
        _check_choice("group", name, GROUPS)
    since, until = parse_time(query, "from"), parse_time(query, "to")
    return UsageQuery(
        by=cast("Literal['day', 'month']", _parse_choice(query, "by", ("day", "month"), "day")),
        group=tuple(name for name in GROUPS if name in names),
        since="" if since is None else local_day(since),
        # `to` is exclusive, as everywhere.
        until="" if until is None else local_day(max(0.0, until - 0.001)),
        **{name: query.get(name, "") for name in GROUPS},
    )


def parse_period(query: Mapping[str, str], default_days: float) -> tuple[float, float]:
    """The period `from` … `to`: if they are missing, the last days until now."""
    _check_names(query, HISTORY_PARAMETERS)
    until = parse_time(query, "to")
    until = time.time() if until is None else until
    since = parse_time(query, "from")
    since = max(0.0, until - default_days * DAY) if since is None else since
    if since >= until:
        raise InvalidRequest(f"from ({since:g}) must be before to ({until:g}).", param="from")
    return since, until


def parse_time(query: Mapping[str, str], name: str) -> float | None:
    """A time in seconds since the epoch, or as a local date or time such as 2026-11-28 or 2026-11-28T18:00."""
    text = query.get(name, "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = datetime.datetime.fromisoformat(text).timestamp()
        except (ValueError, OverflowError, OSError):
            seconds = -1.0
    if not 0.0 <= seconds < MAX_TIME:
        example = int(time.time())
        raise InvalidRequest(
            f"{name} is {text[:60]!r}; use seconds since the epoch, such as {example}, or a date such as "
            f"{local_day(example)}.",
            param=name,
        )
    return seconds


def _check_names(query: Mapping[str, str], known: Collection[str]) -> None:
    for name in query:
        if name not in known:
            hint = did_you_mean(name, known) or f"; the parameters are {', '.join(known)}."
            text = f'There is no parameter "{name[:60]}"{hint}'
            raise InvalidRequest(text, param=name[:60])


def _parse_choice(query: Mapping[str, str], name: str, choices: Collection[str], default: str) -> str:
    value = query.get(name, "") or default
    _check_choice(name, value, choices)
    return value


def _check_choice(name: str, value: str, choices: Collection[str]) -> None:
    if value not in choices:
        hint = did_you_mean(value, choices) or f"; use one of {', '.join(choices)}."
        raise InvalidRequest(f"{name} is {value[:60]!r}{hint}", param=name)


def _parse_status(text: str) -> str:
    """A number, or a class such as "4xx" or "error"."""
    if text and text not in STATUS_CLASSES and not (text.isascii() and text.isdigit() and len(text) == 3):
        hint = did_you_mean(text, STATUS_CLASSES) or f"; or use one of {', '.join(STATUS_CLASSES)}."
        raise InvalidRequest(f"status is {text[:60]!r}; use a number such as 429{hint}", param="status")
    return text


def _parse_number(query: Mapping[str, str], name: str, least: int, most: int) -> int | None:
    text = query.get(name, "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and least <= int(text) <= most):
        raise InvalidRequest(
            f"{name} is {text[:60]!r}; use a whole number from {least} to {most}.", param=name
        )
    return int(text)
