"""`--since` takes durations and times."""

from __future__ import annotations

import argparse
import datetime
import time

import pytest

from sparkd.cli.usage_arguments import parse_since


@pytest.mark.parametrize(
    ("text", "seconds"), [("2h", 7200), ("90m", 5400), ("7d", 604_800), ("1d12h", 129_600)]
)
def test_a_duration_is_so_long_ago(text: str, seconds: float) -> None:
    assert parse_since(text) == pytest.approx(time.time() - seconds, abs=60)


def test_a_date_is_its_local_midnight() -> None:
    assert parse_since("2026-03-01") == datetime.datetime(2026, 3, 1).timestamp()


def test_a_time_of_the_day_is_the_last_one() -> None:
    at = parse_since("18:00")
    assert 0 <= time.time() - at <= 90_000
    assert datetime.datetime.fromtimestamp(at).strftime("%H:%M") == "18:00"


@pytest.mark.parametrize(
    "text", ["", "yesterday", "-2h", "0", "5", "25:00", "2026-13-01", "1d1x", "9" * 400 + "h"]
)
def test_anything_else_is_an_error(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not a duration such as 2h or 7d"):
        parse_since(text)
