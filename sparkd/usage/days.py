"""Usage by day: what a request adds to the sums of its local day."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import Final

from sparkd.usage.records import RequestRecord
from sparkd.usage.tables import SUM_COLUMNS

DISCONNECTED: Final = 499
"""The status of a request whose client left before its response was complete."""

Sums = list[float]
"""The values of SUM_COLUMNS, in their order."""

Key = tuple[str, str, str, str]
"""Day, model, client and program."""


def local_day(at: float) -> str:
    """The local day of a time in seconds since the epoch, as YYYY-MM-DD."""
    return datetime.datetime.fromtimestamp(at).date().isoformat()


def sum_by_day(requests: Iterable[RequestRecord]) -> dict[Key, Sums]:
    """Add requests up by local day, model, client and program."""
    days: dict[Key, Sums] = {}
    for request in requests:
        key = (local_day(request.ended), request.model, request.client, request.program)
        sums = days.setdefault(key, [0] * len(SUM_COLUMNS))
        for place, amount in enumerate(_amounts(request)):
            sums[place] += amount
    return days


def is_failed(status: int) -> bool:
    """Whether a request failed, and not because its client left."""
    return status >= 400 and status != DISCONNECTED


def _amounts(request: RequestRecord) -> tuple[float, ...]:
    """What one request adds, in the order of SUM_COLUMNS."""
    is_counted = request.tokens_in is not None or request.tokens_out is not None
    output = request.output_seconds
    is_timed = output is not None and output > 0 and request.tokens_out is not None
    return (
        1,
        is_failed(request.status),
        request.status == DISCONNECTED,
        is_counted,
        request.tokens_in or 0,
        request.tokens_cached or 0,
        request.tokens_out or 0,
        max(0.0, request.seconds - request.queue_seconds - request.load_seconds),
        request.first_token_seconds is not None,
        request.first_token_seconds or 0.0,
        (request.tokens_out or 0) if is_timed else 0,
        (output or 0.0) if is_timed else 0.0,
    )
