"""Usage by day and month agrees with a plain sum, also on days with 23 and 25 hours."""

from __future__ import annotations

import datetime
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkd.usage.days import local_day
from sparkd.usage.reader import UsageReader
from sparkd.usage.records import RequestRecord
from sparkd.usage.usage_query import GROUPS, UsageQuery
from tests.usage.recorded import NOW, request, running_store

BERLIN = ZoneInfo("Europe/Berlin")
SPRING = datetime.datetime(2026, 3, 29, tzinfo=BERLIN)
AUTUMN = datetime.datetime(2026, 10, 25, tzinfo=BERLIN)


@contextmanager
def time_zone(name: str) -> Iterator[None]:
    """This process is in that time zone."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = name
    time.tzset()
    try:
        yield
    finally:
        del os.environ["TZ"]
        if before is not None:
            os.environ["TZ"] = before
        time.tzset()


moments = st.sampled_from((SPRING, AUTUMN)).flatmap(
    lambda day: st.floats(-40 * 3600, 40 * 3600).map(lambda seconds: day.timestamp() + seconds)
)
records = st.builds(
    request,
    ended=moments,
    model=st.sampled_from(("a", "b")),
    client=st.sampled_from(("x", "y")),
    program=st.sampled_from(("", "p")),
    status=st.sampled_from((200, 499, 503)),
    tokens_in=st.none() | st.integers(0, 100),
    tokens_cached=st.none() | st.integers(0, 100),
    tokens_out=st.none() | st.integers(0, 100),
    queue_seconds=st.floats(0, 1),
    first_token_seconds=st.none() | st.floats(0, 2),
)


def period_of(record: RequestRecord, by: str) -> str:
    day = datetime.datetime.fromtimestamp(record.ended, BERLIN).strftime("%Y-%m-%d")
    return day if by == "day" else day[:7]


@given(st.lists(records, max_size=30), st.sampled_from(("day", "month")), st.sets(st.sampled_from(GROUPS)))
@settings(max_examples=40)
def test_every_row_is_the_sum_of_its_requests(written: list[RequestRecord], by: str, group: set[str]) -> None:
    names = tuple(name for name in GROUPS if name in group)
    with (
        time_zone("Europe/Berlin"),
        tempfile.TemporaryDirectory() as folder,
        running_store(Path(folder) / "usage.sqlite", keep_days=100_000) as store,
    ):
        half = len(written) // 2
        for part in (written[:half], written[half:]):
            store.add_requests(part)
            with store.read_consistently():
                pass
        report = UsageReader(store.path, store).usage(UsageQuery(by=by, group=names))  # type: ignore[arg-type]
    grouped: dict[tuple[str, ...], list[RequestRecord]] = {}
    for record in written:
        key = (period_of(record, by), *(getattr(record, name) for name in names))
        grouped.setdefault(key, []).append(record)
    assert {(row.period, *(getattr(row, name) for name in names)) for row in report.rows} == set(grouped)
    assert len(report.rows) == len(grouped)
    for row in report.rows:
        own = grouped[row.period, *(getattr(row, name) for name in names)]
        assert row.requests == len(own)
        assert row.failed == sum(each.status == 503 for each in own)
        assert row.disconnected == sum(each.status == 499 for each in own)
        counted = [each for each in own if each.tokens_in is not None or each.tokens_out is not None]
        assert row.counted == len(counted)
        assert row.tokens_in == (sum(each.tokens_in or 0 for each in own) if counted else None)
        assert row.busy_seconds == pytest.approx(sum(each.seconds - each.queue_seconds for each in own))
        first = [each.first_token_seconds for each in own if each.first_token_seconds is not None]
        assert row.first_token_seconds == (pytest.approx(sum(first) / len(first)) if first else None)
    assert report.total.requests == len(written)


def test_the_days_of_a_change_of_the_clock_are_whole() -> None:
    with time_zone("Europe/Berlin"):
        for day, hours in ((SPRING, 23), (AUTUMN, 25)):
            begin = day.timestamp()
            name = day.date().isoformat()
            assert [local_day(begin), local_day(begin + hours * 3600 - 1)] == [name, name]
            assert local_day(begin - 1) < name < local_day(begin + hours * 3600)


def test_tokens_that_no_engine_counted_are_unknown_and_not_zero(tmp_path: Path) -> None:
    with running_store(tmp_path / "usage.sqlite") as store:
        store.add_requests([request(1)])
        report = UsageReader(store.path, store).usage(UsageQuery())
        assert (report.total.tokens_in, report.total.first_token_seconds, report.total.counted) == (
            None,
            None,
            0,
        )
        empty = UsageReader(store.path, store).usage(UsageQuery(model="another"))
        assert (empty.total.requests, empty.total.tokens_in, empty.rows) == (0, 0, [])


def test_the_period_is_limited_by_local_days(tmp_path: Path) -> None:
    with running_store(tmp_path / "usage.sqlite") as store:
        store.add_requests([request(ended=NOW - days * 86400) for days in range(5)])
        reader = UsageReader(store.path, store)
        since, until = local_day(NOW - 3 * 86400), local_day(NOW - 86400)
        found = reader.usage(UsageQuery(since=since, until=until))
        assert sum(row.requests for row in found.rows) == found.total.requests == 3
