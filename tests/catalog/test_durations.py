"""`keep_alive`."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkd.catalog.durations import keep_alive_seconds
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
