"""What the live state reads besides the supervisor."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from msgspec import Struct

from sparkd.control.live.state import LiveGpu, Notice
from sparkd.gateway.measuring.active_requests import ActiveRequests
from sparkd.usage.records import RequestRecord

MAX_FINISHED: Final = 20

CLOCK_TOLERANCE: Final = 0.5
"""Seconds by which the two clocks may drift apart before points in time are computed again."""


class GpuSource(Protocol):
    """The sensors of the GPU."""

    def __call__(self) -> Awaitable[LiveGpu | None]:
        """The last reading; None if no GPU answers."""
        ...


class RecentRequests:
    """The newest finished requests. `add` is called with those that have ended, the oldest first."""

    def __init__(self, most: int = MAX_FINISHED) -> None:
        self._newest: deque[RequestRecord] = deque(maxlen=most)
        self._newest_first: tuple[RequestRecord, ...] = ()

    def add(self, records: list[RequestRecord]) -> None:
        """Add requests that have ended."""
        self._newest.extendleft(records)
        self._newest_first = ()

    def read(self) -> tuple[RequestRecord, ...]:
        """The newest first; the same object as long as nothing ends."""
        if not self._newest_first:
            self._newest_first = tuple(self._newest)
        return self._newest_first


class Sources(Struct, frozen=True):
    """Where requests, sensors and further notices come from."""

    active: ActiveRequests
    recent: RecentRequests
    gpu: GpuSource | None = None
    notices: Callable[[], tuple[Notice, ...]] = tuple


class Clock:
    """Converts seconds of the steady clock to seconds since the epoch, and the same ones always to the same."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def adjust(self) -> None:
        """Follow the system's clock if it was set."""
        offset = time.time() - time.monotonic()
        if abs(offset - self._offset) > CLOCK_TOLERANCE:
            self._offset = offset

    def date(self, steady: float) -> float:
        """The point in time, in tenths of a second."""
        return round(steady + self._offset, 1)

    def date_if_known(self, steady: float | None) -> float | None:
        """The point in time; None for None and for never."""
        return None if steady is None or steady == float("inf") else self.date(steady)
