"""Measurements as columns: a grid of points in time, peaks that survive, gaps that stay gaps."""

from __future__ import annotations

import random
import sqlite3
import time

import pytest

from sparkd.usage.columns import MAX_POINTS, choose_step, stored_columns
from sparkd.usage.measurement_queries import read_aggregates, read_days
from sparkd.usage.records import Measurement
from tests.usage.measured import MinuteTable

DAY = 86400
NOW = 1_790_000_000 // 3600 * 3600.0


def filled(minutes: list[Measurement]) -> sqlite3.Connection:
    table = MinuteTable()
    table.add_measurements(minutes)
    return table.database


@pytest.mark.parametrize("span", [1, 900, 1200, 1201, 3600, 36_001, 86_400, 7 * DAY, 31 * DAY])
def test_a_response_has_at_most_600_points(span: int) -> None:
    step = choose_step(span)
    columns = stored_columns([], None, now=NOW + 17, span=span, step=step)
    assert 1 <= len(columns.at) <= MAX_POINTS + 1
    assert span / step <= MAX_POINTS
    assert columns.at[-1] >= NOW + 17


def test_minutes_are_on_a_grid_and_missing_ones_are_gaps() -> None:
    database = filled(
        [Measurement(at=NOW - 120, tokens_out=1.0), Measurement(at=NOW, tokens_out=3.0, power=None)]
    )
    found = read_aggregates(database, since=NOW - 240, until=NOW, step=60)
    columns = stored_columns(found, None, now=NOW, span=240, step=60)
    assert columns.at == [NOW - 180, NOW - 120, NOW - 60, NOW]
    assert columns.tokens_out == [None, 1.0, None, 3.0]
    assert columns.power == [None] * 4
    assert columns.low == columns.high == {}


def test_a_peak_of_one_minute_is_seen_in_a_month() -> None:
    minutes = [Measurement(at=NOW - 60 * each, tokens_out=10.0, peak_out=12.0) for each in range(31 * 1440)]
    minutes[20_000] = Measurement(at=NOW - 60 * 20_000, tokens_out=500.0, peak_out=900.0)
    step = choose_step(31 * DAY)
    found = read_aggregates(filled(minutes), since=NOW - 31 * DAY, until=NOW, step=step)
    columns = stored_columns(found, None, now=NOW, span=31 * DAY, step=step)
    highest = [value for value in columns.high["tokens_out"] if value is not None]
    means = [value for value in columns.tokens_out if value is not None]
    assert max(highest) == 500.0
    assert max(means) < 20.0
    assert max(value for value in columns.peak_out if value is not None) == 900.0
    assert columns.low["tokens_out"][-1] == 10.0
    assert len(columns.at) <= MAX_POINTS + 1


def test_the_minute_that_has_not_ended_is_the_last_point() -> None:
    database = filled([Measurement(at=NOW + 60, tokens_out=4.0, waiting=0.0, used=5.6)])
    found = read_aggregates(database, since=NOW - 3600, until=NOW + 70, step=120)
    latest = Measurement(at=NOW + 120, tokens_out=8.0, waiting=2.0, peak_out=9.0)
    columns = stored_columns(found, latest, now=NOW + 70, span=3600, step=120)
    assert columns.at[-1] == NOW + 120
    assert columns.tokens_out[-1] == 6.0
    assert (columns.low["waiting"][-1], columns.high["waiting"][-1]) == (0.0, 2.0)
    assert (columns.used[-1], columns.peak_out[-1]) == (6, 9.0)
    alone = stored_columns([], latest, now=NOW + 70, span=3600, step=120)
    assert alone.tokens_out[-1] == alone.high["tokens_out"][-1] == 8.0


def test_energy_and_peak_of_each_day() -> None:
    midnight = time.mktime((2026, 9, 20, 0, 0, 0, 0, 0, -1))
    database = filled(
        [
            Measurement(at=midnight, power=100.0),  # the last minute of the day before
            Measurement(at=midnight + 60, power=50.0, peak_out=7.0),
            Measurement(at=midnight + 120, power=70.0, peak_out=90.0),
            Measurement(at=midnight + 180, peak_out=8.0),
            Measurement(at=midnight + DAY + 3600),
        ]
    )
    first, second, third = read_days(database, since=midnight - DAY, until=midnight + 3 * DAY)
    assert (first.day, first.energy, first.peak_out, first.peak_at) == ("2026-09-19", 6000, None, None)
    assert (second.day, second.energy, second.energy_seconds) == ("2026-09-20", 7200, 120.0)
    assert (second.peak_out, second.peak_at) == (90.0, midnight + 120)
    assert second.measured_seconds == 180.0
    assert (third.energy, third.energy_seconds) == (None, 0.0)


def test_random_measurements_keep_their_bounds() -> None:
    chance = random.Random(15)
    minutes = [
        Measurement(at=NOW - 60 * each, gpu=chance.random() if chance.random() < 0.7 else None)
        for each in range(3000)
    ]
    found = read_aggregates(filled(minutes), since=NOW - 3000 * 60, until=NOW, step=600)
    columns = stored_columns(found, None, now=NOW, span=3000 * 60, step=600)
    for low, mean, high in zip(columns.low["gpu"], columns.gpu, columns.high["gpu"], strict=True):
        assert (low is None) == (mean is None) == (high is None)
        assert low is None or mean is None or high is None or low <= mean <= high
