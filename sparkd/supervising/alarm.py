"""The clock of the event loop, set to the next moment at which the books want to be looked at."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from sparkd.scheduling.books import NEVER


class Alarm:
    """Rings once per setting. It changes nothing by itself: whoever is rung compares deadlines with the clock."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._timer: asyncio.TimerHandle | None = None
        self._at = NEVER

    def set(self, deadline: float) -> None:
        """Ring at `deadline` (steady clock, seconds) at the latest. A timer that is due earlier stays: whoever is rung
        then finds nothing to do and sets it anew."""
        if deadline >= self._at:
            return
        self.stop()
        self._at = deadline
        delay = max(0.0, deadline - time.monotonic())
        self._timer = asyncio.get_running_loop().call_later(delay, self._go_off)

    def stop(self) -> None:
        """Ring no more."""
        if self._timer:
            self._timer.cancel()
        self._timer, self._at = None, NEVER

    def _go_off(self) -> None:
        self._timer, self._at = None, NEVER
        self._ring()
