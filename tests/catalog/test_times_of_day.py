"""Times of day at which models are loaded, over weekends and changes of the clock."""

from __future__ import annotations

import datetime
import os
import time
from collections.abc import Iterator
from zoneinfo import ZoneInfo

import pytest

from sparkd.catalog.times_of_day import parse_time_of_day

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture(autouse=True)
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    assert os.environ.get("TZ") != "Europe/Berlin"
    time.tzset()


def at(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text).replace(tzinfo=BERLIN)


@pytest.mark.parametrize(
    ("text", "days", "clock"),
    [
        ("07:00", {0, 1, 2, 3, 4, 5, 6}, (7, 0)),
        ("Mon-Fri 18:30", {0, 1, 2, 3, 4}, (18, 30)),
        ("Sat,Sun 9:05", {5, 6}, (9, 5)),
        (" fri-mon, wed 0:00 ", {4, 5, 6, 0, 2}, (0, 0)),
        ("sun-sun 23:59", {6}, (23, 59)),
    ],
)
def test_a_time_is_read(text: str, days: set[int], clock: tuple[int, int]) -> None:
    parsed = parse_time_of_day(text)
    assert (set(parsed.days), parsed.time) == (days, datetime.time(*clock))


@pytest.mark.parametrize(
    "text",
    ["", "7", "24:00", "07:60", "07:00:00", "Mo 07:00", "Mon- 07:00", ",Mon 07:00", "Mon07:00", "7 pm"],
)
def test_anything_else_is_not_a_time(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the text is in the catalogue's own message
        parse_time_of_day(text)


@pytest.mark.parametrize(
    ("text", "after", "until", "comes"),
    [
        ("07:00", "2026-11-27T06:59:50", "2026-11-27T07:00:00", True),
        ("07:00", "2026-11-27T07:00:00", "2026-11-27T07:00:15", False),  # it came before
        ("07:00", "2026-11-26T23:00:00", "2026-11-27T08:10:00", True),  # the machine slept
        ("Mon 07:00", "2026-11-24T07:00:00", "2026-11-29T23:00:00", False),  # Tuesday to Sunday
        ("Mon 07:00", "2026-11-24T07:00:00", "2026-11-30T07:00:00", True),
        ("Mon 07:00", "2020-01-01T00:00:00", "2026-11-30T06:00:00", True),  # a clock that was wrong for years
        ("02:30", "2026-03-29T01:29:00", "2026-03-29T01:31:00", True),  # skipped: the clock goes from 2 to 3
        ("02:30", "2026-10-25T01:00:00", "2026-10-25T04:00:00", True),  # comes twice
    ],
)
def test_a_time_comes_between_two_moments(text: str, after: str, until: str, *, comes: bool) -> None:
    assert parse_time_of_day(text).comes_between(at(after), at(until)) is comes


def test_a_time_that_comes_twice_counts_once() -> None:
    half_past_two, hour = parse_time_of_day("02:30"), datetime.timedelta(hours=1)
    begin = at("2026-10-25T01:00:00").astimezone(datetime.UTC)
    hours = [half_past_two.comes_between(begin + n * hour, begin + (n + 1) * hour) for n in range(5)]
    assert sum(hours) == 1
