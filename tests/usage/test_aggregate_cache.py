"""Combined minutes that do not change any more are read once."""

from __future__ import annotations

import random
from collections.abc import Sequence

from sparkd.usage.aggregate_cache import AggregateCache
from sparkd.usage.columns import Aggregate
from sparkd.usage.records import Measurement
from tests.usage.measured import MinuteTable

NOW = 1_790_000_000 // 7200 * 7200.0


class CountingReader:
    def __init__(self, table: MinuteTable) -> None:
        self._table = table
        self.seconds = 0.0

    def __call__(self, *, since: float, until: float, step: int) -> Sequence[Aggregate]:
        self.seconds += until - since
        return self._table.measurement_aggregates(since=since, until=until, step=step)


def test_the_cache_returns_what_the_database_has() -> None:
    chance = random.Random(15)
    table = MinuteTable()
    table.add_measurements(
        [
            Measurement(at=NOW - 60 * each, gpu=chance.random())
            for each in range(5000)
            if chance.random() < 0.8
        ]
    )
    reader = CountingReader(table)
    cache = AggregateCache(reader)
    now = NOW
    for _ in range(200):
        now += chance.choice((20.0, 60.0, 3600.0, -7200.0))
        table.add_measurements([Measurement(at=now // 60 * 60, gpu=chance.random())])
        step, span = chance.choice((120, 600)), chance.choice((7200.0, 100_000.0))
        since = (now - span) // step * step
        expected = table.measurement_aggregates(since=since, until=now, step=step)
        assert cache.get(since=since, until=now, step=step) == expected


def test_a_month_is_read_once() -> None:
    reader = CountingReader(MinuteTable())
    cache = AggregateCache(reader)
    for minute in range(100):
        now = NOW + 60 * minute
        cache.get(since=(now - 31 * 86_400) // 5400 * 5400, until=now, step=5400)
    assert reader.seconds < 40 * 86_400
