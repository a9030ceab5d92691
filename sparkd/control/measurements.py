"""The endpoints of measurements over time.

GET /measurements?span=SECONDS&step=     columns of the last seconds, at most 600 points
GET /measurements/days?days=             energy and the highest speed of each day
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sparkd.errors import InvalidRequest
from sparkd.usage.aggregate_cache import AggregateCache
from sparkd.usage.columns import (
    KEPT_DAYS,
    MAX_POINTS,
    Aggregate,
    Columns,
    choose_step,
    recent_columns,
    stored_columns,
)
from sparkd.usage.measurement_queries import DayOfMeasurements
from sparkd.usage.recent import KEPT, MINUTE, Clock, Recent
from sparkd.usage.records import Measurement
from sparkd.usage.token_rates import STEP

DAY: Final = 86400
DEFAULT_SPAN: Final = 900


class Measurements(Protocol):
    """The measurements of the last 20 minutes."""

    @property
    def recent(self) -> Recent:
        """Those in memory."""
        ...

    def now(self) -> Clock:
        """The clocks now."""
        ...


class MeasurementReader(Protocol):
    """Reads the measurements of minutes. Blocks: called in a thread."""

    def measurement_aggregates(self, *, since: float, until: float, step: int) -> Sequence[Aggregate]:
        """Combine the minutes after `since`, up to `until`, into intervals of `step` seconds."""
        ...

    def measurement_days(self, *, since: float, until: float) -> Sequence[DayOfMeasurements]:
        """What each day adds up to."""
        ...


def measurement_routes(measurements: Measurements, reader: MeasurementReader) -> list[BaseRoute]:
    """The routes of measurements."""
    endpoints = _Endpoints(measurements, reader)
    return [Route("/measurements", endpoints.columns), Route("/measurements/days", endpoints.days)]


class _Endpoints:
    def __init__(self, measurements: Measurements, reader: MeasurementReader) -> None:
        self._measurements = measurements
        self._reader = reader
        self._cache = AggregateCache(reader.measurement_aggregates)

    async def columns(self, request: Request) -> Response:
        span = _read_number(request, "span", DEFAULT_SPAN, 1, KEPT_DAYS * DAY)
        step = _read_step(request, span)
        clock = self._measurements.now()
        if step == STEP:
            return _respond(recent_columns(self._measurements.recent, clock, span))
        end_of_minute = -(-clock.epoch // MINUTE) * MINUTE
        latest = self._measurements.recent.minute(end_of_minute, clock)
        content = await asyncio.to_thread(self._encode_stored, latest, clock.epoch, span, step)
        return Response(content, media_type="application/json")

    def _encode_stored(self, latest: Measurement | None, now: float, span: float, step: int) -> bytes:
        """Read and encode in a thread: that takes some 100 ms for a month."""
        aggregates = self._cache.get(since=(now - span) // step * step, until=now, step=step)
        return msgspec.json.encode(stored_columns(aggregates, latest, now=now, span=span, step=step))

    async def days(self, request: Request) -> Response:
        days = int(_read_number(request, "days", KEPT_DAYS, 1, KEPT_DAYS))
        now = self._measurements.now().epoch
        # A minute that has not ended may have been kept already, when the program was replaced.
        until = now + MINUTE
        found = await asyncio.to_thread(self._reader.measurement_days, since=now - days * DAY, until=until)
        return _respond(list(found))


def _read_step(request: Request, span: float) -> int:
    """The interval in seconds: the query's if it is possible, otherwise one that suits the span."""
    if request.query_params.get("step", "auto") == "auto":
        return choose_step(span)
    step = int(_read_number(request, "step", STEP, STEP, DAY))
    if step == STEP and span > KEPT:
        raise InvalidRequest(
            f"`step` is 5, but intervals of 5 seconds are kept for {KEPT} seconds only. "
            f"Set `span` to {KEPT} or less, or `step` to 60 or more.",
            param="step",
        )
    if step != STEP and step % MINUTE:
        raise InvalidRequest(f"`step` is {step}. It must be 5 or a multiple of 60.", param="step")
    if span / step > MAX_POINTS:
        raise InvalidRequest(
            f"`step` is {step}, which makes {span / step:.0f} points. Set it to {choose_step(span)} or more: "
            f"a response has {MAX_POINTS} points at most.",
            param="step",
        )
    return step


def _read_number(request: Request, name: str, default: float, lowest: float, highest: float) -> float:
    """A number in the query. Raises InvalidRequest."""
    text = request.query_params.get(name)
    if text is None:
        return default
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not lowest <= number <= highest:
        raise InvalidRequest(
            f"`{name}` is {text!r}. It must be a number from {lowest:.0f} to {highest:.0f}.", param=name
        )
    return number


def _respond(value: Columns | list[DayOfMeasurements]) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
