"""How true forecasts are in the simulated weeks, whose loads vary. Run with `-s` to see the figures."""

from __future__ import annotations

from statistics import median

import pytest

from benchmarks.week.accuracy import Errors, describe, measure
from benchmarks.week.households import HOUSEHOLDS

LARGEST_MEDIAN = 0.25
"""Relative error of the seconds left."""


@pytest.fixture(scope="module")
def weeks() -> dict[str, Errors]:
    """The errors of one week of each household."""
    return {household.name: measure(household, 1) for household in HOUSEHOLDS}


def test_half_of_the_forecasts_are_right_by_a_quarter(weeks: dict[str, Errors]) -> None:
    total = Errors()
    for name, errors in weeks.items():
        print(f"{name}: {describe(errors)}")
        total.add(errors)
        assert median(errors.all()) < LARGEST_MEDIAN
    print(f"total: {describe(total)}")
    assert len(total.all()) > 10_000


def test_so_they_are_in_every_stage(weeks: dict[str, Errors]) -> None:
    for stage in ("queued", "evicting", "loading"):
        assert median(error for week in weeks.values() for error in week.by_stage[stage]) < LARGEST_MEDIAN


def test_few_waiting_requests_get_no_estimate(weeks: dict[str, Errors]) -> None:
    unknown = sum(errors.unknown for errors in weeks.values())
    assert unknown < 0.03 * sum(len(errors.all()) for errors in weeks.values())
