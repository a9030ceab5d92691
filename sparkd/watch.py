"""Looks at the machine's memory, often while something starts, and tells the supervisor.

A driver that hangs hangs a thread of ours, never the event loop: meanwhile the host's own figures, which nobody has to
be waited for, are told alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from sparkd.errors import ProbeError
from sparkd.machine.memory import Memory, Probe

journal = logging.getLogger("sparkd.watch")

PATIENCE: Final = 0.2
"""Seconds that the GPU's driver gets to answer; some milliseconds are usual."""

MEASURE: Final = 1.0
"""Seconds between two looks at what each model's processes hold: finding them reads all of /proc."""

Family = Callable[[], Iterable[int]]
"""Finds the PIDs of one run; called from a thread."""


@dataclass(frozen=True, slots=True)
class Look:
    """The machine's memory at a moment, and what each run has of it, in bytes, where that was measured this time."""

    memory: Memory
    used: Mapping[int, int] = field(default_factory=dict)


class Watch:
    """Looks until cancelled. `told` takes each look and says how many seconds later the next one is due."""

    def __init__(
        self, probe: Probe, told: Callable[[Look], float], families: Callable[[], Mapping[int, Family]]
    ) -> None:
        self._probe = probe
        self._told = told
        self._families = families
        self._thread = ThreadPoolExecutor(1, "memory")
        self._asked: asyncio.Future[Look] | None = None
        self._measured = 0.0
        self._blind = False

    async def run(self) -> None:
        """Look and tell, for ever."""
        try:
            while True:
                pause = MEASURE
                try:
                    pause = self._told(await self.look())
                    self._blind = False
                except ProbeError as error:
                    if not self._blind:
                        journal.error("the machine's memory cannot be watched: %s", error.message)
                    self._blind = True
                await asyncio.sleep(pause)
        finally:
            self._thread.shutdown(wait=False, cancel_futures=True)

    async def look(self) -> Look:
        """Look now. Raises ProbeError."""
        loop = asyncio.get_running_loop()
        if self._asked is None:
            families: Mapping[int, Family] = {}
            if loop.time() >= self._measured + MEASURE:
                families, self._measured = self._families(), loop.time()
            self._asked = loop.run_in_executor(self._thread, self._read, families)
        await asyncio.wait({self._asked}, timeout=PATIENCE)
        if not self._asked.done():
            return Look(self._probe.host())
        asked, self._asked = self._asked, None
        return asked.result()

    def _read(self, families: Mapping[int, Family]) -> Look:
        memory = self._probe.read()
        return Look(memory, {run: memory.used_by(family()) for run, family in families.items()})
