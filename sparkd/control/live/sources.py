"""What the live state reads besides the supervisor."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

from msgspec import Struct

from sparkd.control.live.state import InFlight, LiveGpu
from sparkd.usage.records import RequestRecord

CLOCK_TOLERANCE: Final = 0.5
"""Seconds by which the two clocks may drift apart before points in time are computed again."""


class GpuSource(Protocol):
    """The sensors of the GPU."""

    def __call__(self) -> Awaitable[LiveGpu | None]:
        """The last reading; None if no GPU answers."""
        ...


class Sources(Struct, frozen=True):
    """Where requests and sensors come from. Each may be missing."""

    in_flight: Callable[[int], InFlight] | None = None
    """The requests that have not ended; the argument is the most rows."""

    finished: Callable[[], Sequence[RequestRecord]] | None = None
    """The newest finished requests, the newest first."""

    gpu: GpuSource | None = None


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
