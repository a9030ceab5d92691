"""Notices a warm start that hangs at its beginning, so that a cold one can take its place.

A fork of a process whose libraries use threads may wait without end for a lock that no thread holds any more. The
launcher proves that this should not happen. If it does, it happens early: the late steps of a start may take minutes
anyway.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Final

from sparkd.engines.engine import Cause, Milestone

STALL_TIMEOUT: Final = 90.0
"""Seconds without a milestone. Between two early ones, a warm start takes some seconds, and ten with a cold cache."""


class StallWatch:
    """Watches the early phases of one start. It stalls after `timeout` seconds without a milestone."""

    def __init__(self, early_phases: Collection[str], timeout: float = STALL_TIMEOUT) -> None:
        self._early_phases = early_phases
        self._timeout = timeout
        self._last: Milestone | None = None
        self._changed = asyncio.Event()

    def record_milestone(self, milestone: Milestone) -> None:
        """Record a step of loading."""
        self._last = milestone
        self._changed.set()

    async def wait_until_stalled(self) -> Cause | None:
        """Return a cause once the start makes no progress. None once it is past its early phases."""
        while self._last is None or self._last.phase in self._early_phases:
            self._changed.clear()
            try:
                async with asyncio.timeout(self._timeout):
                    await self._changed.wait()
            except TimeoutError:
                step = f' after "{self._last.phase}"' if self._last else ""
                sentence = f"it made no progress for {self._timeout:.0f} seconds{step}."
                return Cause("engine_wedged", sentence)
        return None
