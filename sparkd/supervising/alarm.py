"""A timer on the event loop, set to the scheduler's next deadline."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from sparkd.scheduling.ledger import NEVER


class Alarm:
    """Calls `callback` once per `set`. The callback must compare its deadlines with the clock."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback = callback
        self._timer: asyncio.TimerHandle | None = None
        self._deadline = NEVER

    def set(self, deadline: float) -> None:
        """Call back at `deadline` (steady clock, seconds) or earlier. An earlier timer stays: the callback then finds
        nothing to do and sets the alarm again."""
        if deadline >= self._deadline:
            return
        self.stop()
        self._deadline = deadline
        delay = max(0.0, deadline - time.monotonic())
        self._timer = asyncio.get_running_loop().call_later(delay, self._fire)

    def stop(self) -> None:
        """Cancel the timer."""
        if self._timer:
            self._timer.cancel()
        self._timer, self._deadline = None, NEVER

    def _fire(self) -> None:
        self._timer, self._deadline = None, NEVER
        self._callback()
