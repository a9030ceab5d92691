"""Measurements as columns, for charts: a grid of points in time, with a gap for each time without one."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from msgspec import Struct

from sparkd.usage.recent import INTERVALS, KEPT, MAXIMA, MINUTE, VALUES, Clock, Recent
from sparkd.usage.records import Measurement
from sparkd.usage.token_rates import STEP

MAX_POINTS: Final = 600
"""Points of a response. More cannot be distinguished on a screen."""

KEPT_DAYS: Final = 31
"""Days for which minutes are kept."""

_STEPS: Final = (60, 120, 300, 600, 900, 1800, 3600, 5400, 7200)
"""Seconds of an interval that is a multiple of a minute."""

_WHOLE: Final = frozenset({"available", "used", "clock"})
"""Fields whose fraction means nothing."""

Column = Sequence[float | None]


class Columns(Struct, frozen=True, kw_only=True):
    """Measurements, one list for each field. The values at one position belong to the interval that ends `at` it.

    `step` is the length of an interval in seconds. None is a gap. `low` and `high` have the lowest and the highest
    minute of each interval, so that a peak is not averaged away; they are empty if an interval is a minute or less.
    """

    now: float
    step: float
    at: list[float]
    tokens_in: Column
    tokens_out: Column
    in_flight: Column
    waiting: Column
    available: Column
    used: Column
    gpu: Column
    temperature: Column
    power: Column
    clock: Column
    pressure: Column
    peak_out: Column
    low: Mapping[str, Column] = {}
    high: Mapping[str, Column] = {}


class Aggregate(Struct, frozen=True):
    """The measurements of an interval that ends `at`: the mean, the lowest and the highest of each field."""

    at: float
    count: int
    mean: Measurement
    low: Measurement
    high: Measurement


def choose_step(span: float) -> int:
    """Return the interval, in seconds, for a span: at most MAX_POINTS of them cover it."""
    if span <= KEPT:
        return int(STEP)
    return next((step for step in _STEPS if span / step <= MAX_POINTS), _STEPS[-1])


def recent_columns(recent: Recent, clock: Clock, span: float) -> Columns:
    """The last `span` seconds in intervals of 5 seconds."""
    last = int(clock.steady // STEP)
    count = max(1, min(INTERVALS, math.ceil(span / STEP)))
    numbers = range(last - count + 1, last + 1)
    found = {number: recent.at(number, clock) for number in numbers}
    at = [round(clock.epoch_of(number), 3) for number in numbers]
    return Columns(now=clock.epoch, step=STEP, at=at, low={}, high={}, **_columns(list(found.values())))


def stored_columns(
    aggregates: Sequence[Aggregate], latest: Measurement | None, *, now: float, span: float, step: int
) -> Columns:
    """The last `span` seconds in longer intervals. `latest` is the minute that has not ended, None if it has no
    measurement yet."""
    by_number = {round(each.at / step): each for each in aggregates}
    if latest is not None:
        number = math.ceil(latest.at / step)
        by_number[number] = _with_minute(by_number.get(number), latest)
    numbers = range(math.floor((now - span) / step) + 1, math.ceil(now / step) + 1)
    found = [by_number.get(number) for number in numbers]
    is_thinned = step > MINUTE
    return Columns(
        now=now,
        step=step,
        at=[float(number * step) for number in numbers],
        low=_columns([each.low if each else None for each in found]) if is_thinned else {},
        high=_columns([each.high if each else None for each in found]) if is_thinned else {},
        **_columns([each.mean if each else None for each in found]),
    )


def _columns(measured: Sequence[Measurement | None]) -> dict[str, Column]:
    return {
        name: [None if each is None else _round(name, getattr(each, name)) for each in measured]
        for name in VALUES
    }


def _round(name: str, value: float | None) -> float | None:
    """Without digits that mean nothing, so that a response is small."""
    if value is None:
        return None
    return round(value) if name in _WHOLE else round(value, 4)


def _with_minute(aggregate: Aggregate | None, minute: Measurement) -> Aggregate:
    """An interval with one more minute."""
    if aggregate is None:
        return Aggregate(minute.at, 1, minute, minute, minute)
    return Aggregate(
        aggregate.at,
        aggregate.count + 1,
        _combine(aggregate.mean, minute, weight=aggregate.count),
        _combine(aggregate.low, minute, pick=min),
        _combine(aggregate.high, minute, pick=max),
    )


def _combine(
    old: Measurement,
    new: Measurement,
    *,
    weight: int = 1,
    pick: Callable[[float, float], float] | None = None,
) -> Measurement:
    """Two measurements as one. `pick` chooses of two values; without it, it is their mean, `old` with this weight."""
    values: dict[str, float] = {}
    for name in VALUES:
        before, after = getattr(old, name), getattr(new, name)
        if before is None or after is None:
            if (known := after if before is None else before) is not None:
                values[name] = known
        elif pick is not None:
            values[name] = pick(before, after)
        else:
            is_maximum = name in MAXIMA
            values[name] = max(before, after) if is_maximum else (before * weight + after) / (weight + 1)
    return Measurement(at=old.at, **values)
