"""The sentence of a forecast."""

from __future__ import annotations

from typing import Any

import pytest

from sparkd.scheduling.forecast import Forecast, Leaving
from sparkd.scheduling.forecast_text import describe_forecast, describe_time


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"stage": "ready", "seconds": 0.0}, "m is ready."),
        ({"stage": "loading"}, "m is loading."),
        (
            {
                "stage": "loading",
                "loading": "m",
                "phase": "loading weights",
                "progress": 0.4,
                "seconds": 51.0,
            },
            "m is loading weights, 40 %, about 50 s left.",
        ),
        (
            {"stage": "loading", "loading": "m", "phase": "weights loaded", "seconds": 3.0},
            "m is loading (weights loaded), a few seconds left.",
        ),
        (
            {"stage": "downloading", "phase": "downloading", "progress": 0.125, "seconds": 1300.0},
            "m is being downloaded, 12 %, about 22 min left.",
        ),
        (
            {"stage": "evicting", "position": 1, "seconds": 80.0},
            "Other models leave the memory for m, about 80 s left.",
        ),
        (
            {
                "stage": "queued",
                "position": 2,
                "ahead": ("a", "b"),
                "loading": "a",
                "phase": "loading weights",
                "progress": 0.4,
                "seconds": 290.0,
            },
            "Position 2 in the queue, about 5 min left. a is loading weights, 40 %.",
        ),
        (
            {"stage": "evicting", "leaving": (Leaving("a", 1), Leaving("b")), "seconds": 80.0},
            "a (after its request) and b leave the memory for m, about 80 s left.",
        ),
        (
            {
                "stage": "queued",
                "position": 1,
                "loading": "c",
                "leaving": (Leaving("a", 2), Leaving("b"), Leaving("d"), Leaving("e")),
            },
            (
                "Position 1 in the queue. c is loading. "
                "Then a (after its 2 requests), b and 2 more leave the memory for m."
            ),
        ),
        (
            {"stage": "queued", "position": 1, "leaving": (Leaving("a", 2),)},
            "Position 1 in the queue. a (after its 2 requests) leaves the memory for m.",
        ),
        (
            {"stage": "queued", "position": 1, "blocked_by": "Tom holds big until 18:00."},
            "Position 1 in the queue. Tom holds big until 18:00.",
        ),
    ],
)
def test_a_forecast_is_one_to_three_sentences(fields: dict[str, Any], sentence: str) -> None:
    assert describe_forecast(Forecast(model="m", **fields)) == sentence


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "a few seconds"),
        (8.0, "about 10 s"),
        (57.0, "about 55 s"),
        (58.0, "about 60 s"),
        (104.0, "about 100 s"),
        (106.0, "about 2 min"),
        (3500.0, "about 58 min"),
        (3600.0, "about 1 h"),
        (4300.0, "about 1 h 10 min"),
        (7000.0, "about 2 h"),
    ],
)
def test_a_time_is_as_precise_as_an_estimate(seconds: float, text: str) -> None:
    assert describe_time(seconds) == text
