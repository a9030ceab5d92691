"""Ends a warm start that hangs at its beginning, so that a cold one can take its place.

A fork of a process whose libraries use threads may wait for ever for a lock that no thread holds any more. The launcher
proves that this should not happen. If it does, it happens early: the late steps of a start may take minutes anyway.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import Final

from sparkd.engines.engine import Cause, Milestone
from sparkd.processes.process import Process

STALL_TIMEOUT: Final = 90.0
"""Seconds without a milestone. Between two early ones, a warm start takes some seconds, and ten with a cold cache."""

CHECK_INTERVAL: Final = 1.0


class StallWatch:
    """Watches the early phases of one process. `milestone` returns the last milestone of its log."""

    def __init__(
        self, process: Process, early_phases: Collection[str], milestone: Callable[[], Milestone | None]
    ) -> None:
        self._process = process
        self._early_phases = early_phases
        self._milestone = milestone
        self.cause: Cause | None = None
        """Why it has killed the process, None if it has not."""

    async def kill_when_stalled(self) -> None:
        """Kill the process if it makes no progress. Return once it is past its early phases."""
        loop = asyncio.get_running_loop()
        last, since = self._milestone(), loop.time()
        while last is None or last.phase in self._early_phases:
            await asyncio.sleep(CHECK_INTERVAL)
            if (now := self._milestone()) != last:
                last, since = now, loop.time()
            elif loop.time() >= since + STALL_TIMEOUT:
                step = f' after "{last.phase}"' if last else ""
                self.cause = Cause(
                    "engine_wedged", f"it made no progress for {STALL_TIMEOUT:.0f} seconds{step}."
                )
                self._process.kill()
                return
