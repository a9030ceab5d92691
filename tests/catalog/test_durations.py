"""Durations and times in requests and on the command line."""

from __future__ import annotations

import datetime
import math
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkd.catalog.durations import duration_seconds, keep_alive_seconds, seconds_until
from sparkd.errors import InvalidRequest


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("5m", 300.0),
        (300, 300.0),
        ("300", 300.0),
        (2.5, 2.5),
        ("1h30m", 5400.0),
        ("1.5h", 5400.0),
        ("500ms", 0.5),
        ("0", 0.0),
        (0, 0.0),
        ("0s", 0.0),
        (-1, math.inf),
        ("-1", math.inf),
        ("-1s", math.inf),
        ("-5m", math.inf),
        (1e300, math.inf),
    ],
)
def test_a_duration_is_seconds(value: object, seconds: float | None) -> None:
    assert keep_alive_seconds(value) == seconds


@pytest.mark.parametrize(
    "value", ["5 minutes", "m", "5x", "s5", "--", "1h 30m", "1" * 99, True, [], {}, math.nan]
)
def test_anything_else_is_rejected(value: object) -> None:
    with pytest.raises(InvalidRequest, match="keep_alive"):
        keep_alive_seconds(value)


@given(st.text(max_size=40) | st.integers() | st.floats(allow_nan=True))
def test_any_value_is_seconds_or_rejected(value: object) -> None:
    try:
        seconds = keep_alive_seconds(value)
    except InvalidRequest:
        return
    assert seconds is None or seconds >= 0


@pytest.mark.parametrize(
    ("value", "seconds"), [("2h", 7200.0), ("-2h", -7200.0), (90, 90.0), ("soon", None), (True, None)]
)
def test_a_duration_without_a_meaning_of_its_own(value: object, seconds: float | None) -> None:
    assert duration_seconds(value) == seconds


NOON = datetime.datetime(2026, 11, 28, 12, 0).astimezone()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("18:00", 6 * 3600.0),
        (" 9:30 ", 21.5 * 3600),
        ("12:00", 24 * 3600.0),
        ("2026-11-28T13:00", 3600.0),
        ((NOON + datetime.timedelta(hours=2)).astimezone(datetime.UTC).isoformat(), 7200.0),
        ("2026-11-28T11:00", -3600.0),
        ("25:00", None),
        ("soon", None),
        ("", None),
    ],
)
def test_a_time_is_seconds_from_now(text: str, seconds: float | None) -> None:
    assert seconds_until(text, NOON) == seconds


def test_a_night_with_a_change_of_the_clock_has_its_own_length() -> None:
    code = (
        "import datetime\n"
        "from sparkd.catalog.durations import seconds_until\n"
        "now = datetime.datetime(2026, 3, 28, 20, 0).astimezone()\n"
        "print(seconds_until('18:00', now) / 3600)"
    )
    environment = {**os.environ, "TZ": "Europe/Berlin"}
    output = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert output.stdout == "21.0\n"
