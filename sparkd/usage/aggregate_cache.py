"""Keeps combined minutes that do not change any more: a month has 44,640 of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from msgspec import Struct

from sparkd.usage.columns import Aggregate

SETTLED: Final = 1800.0
"""Seconds after which no request that ends can change a minute: measurements in memory are younger."""


class ReadAggregates(Protocol):
    """Combines the minutes after `since`, up to `until`, into intervals of `step` seconds."""

    def __call__(self, *, since: float, until: float, step: int) -> Sequence[Aggregate]:
        """Return them, the oldest first."""
        ...


class _Kept(Struct, frozen=True):
    """The intervals after `since`, up to `until`. Both are multiples of the interval's length."""

    since: float
    until: float
    aggregates: Sequence[Aggregate]


class AggregateCache:
    """Reads with `read` what is not kept. May be called from several threads."""

    def __init__(self, read: ReadAggregates) -> None:
        self._read = read
        self._kept: dict[int, _Kept] = {}
        self._latest = 0.0

    def get(self, *, since: float, until: float, step: int) -> list[Aggregate]:
        """Return the intervals after `since`, which must be a multiple of `step`, up to `until`."""
        if until < self._latest:  # the clock was set back, so minutes that were kept are measured again
            self._kept.clear()
        self._latest = until
        kept = self._kept.get(step)
        if kept is None or since < kept.since:
            kept = _Kept(since, since, ())
        found = [
            *(each for each in kept.aggregates if each.at > since),
            *self._read(since=max(since, kept.until), until=until, step=step),
        ]
        settled = max(kept.until, (until - SETTLED) // step * step)
        self._kept[step] = _Kept(since, settled, [each for each in found if each.at <= settled])
        return found
