"""The clock of the event loop, set to the next moment at which the books want to be looked at."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from sparkd.scheduling.ledger import NEVER


class Alarm:
    """Rings once per setting. It changes nothing by itself: whoever is rung compares deadlines with the clock."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback = callback
        self._timer: asyncio.TimerHandle | None = None
        self._deadline = NEVER

    def set(self, deadline: float) -> None:
        """Ring at `deadline` (steady clock, seconds) at the latest. A timer that is due earlier stays: whoever is rung
        then finds nothing to do and sets it anew."""
        if deadline >= self._deadline:
            return
        self.stop()
        self._deadline = deadline
        delay = max(0.0, deadline - time.monotonic())
        self._timer = asyncio.get_running_loop().call_later(delay, self._fire)

    def stop(self) -> None:
        """Ring no more."""
        if self._timer:
            self._timer.cancel()
        self._timer, self._deadline = None, NEVER

    def _fire(self) -> None:
        self._timer, self._deadline = None, NEVER
        self._callback()
