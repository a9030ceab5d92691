"""Lets requests that were in flight when their engine failed try again one after the other.

Their clients repeat them all at once, as soon as the model is ready again. If they ran together, the next failure would
say nothing about which of them is the reason. Other requests do not wait.
"""

from __future__ import annotations

import asyncio
from typing import Final

TURN_TIME: Final = 5.0
"""Seconds after which a request that is still being answered no longer keeps others waiting: engines fail early."""

STALL_CHECKS: Final = 4
"""Checks of its progress after which a stalled engine has certainly been ended."""

FAILURE_PAUSE: Final = 10.0
"""Seconds that an engine may still run after it has failed to answer a request; its end ends the turn."""


class Turn:
    """The right of one request to be the only suspect in flight, until `end`."""

    def __init__(self, lock: asyncio.Lock, longest: float) -> None:
        self._lock: asyncio.Lock | None = lock
        self._longest = longest
        self._timer: asyncio.TimerHandle | None = None

    def limit(self, seconds: float | None = None) -> None:
        """End this many seconds from now, or when a turn is over in any case."""
        if self._timer is not None:
            self._timer.cancel()
        if self._lock is not None:
            delay = self._longest if seconds is None else seconds
            self._timer = asyncio.get_running_loop().call_later(delay, self.end)

    def end(self) -> None:
        """Let the next request have its turn. Does nothing after the first call."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._lock is not None:
            self._lock.release()
            self._lock = None


class Turns:
    """The turns of one model's requests, in the order in which they came. `longest` is seconds."""

    def __init__(self) -> None:
        self.longest = TURN_TIME
        self._lock = asyncio.Lock()
        self._current: Turn | None = None

    async def take(self, timeout: float) -> Turn:  # noqa: ASYNC109
        """Wait for a turn. Raises TimeoutError after `timeout` seconds."""
        async with asyncio.timeout(timeout):
            await self._lock.acquire()
        self._current = Turn(self._lock, self.longest)
        return self._current

    def end_current(self) -> None:
        """End the present turn: its engine has ended."""
        if self._current is not None:
            self._current.end()
