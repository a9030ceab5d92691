"""Looks at the machine's memory, often while something starts, and tells whoever decides.

A driver that hangs hangs a thread of ours, never the event loop: meanwhile the host's own figures, which nobody has to
be waited for, are told alone.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sparkd.catalog import Catalogue
from sparkd.catalog.quantities import GIB
from sparkd.errors import ProbeError
from sparkd.machine.memory import Memory, Probe
from sparkd.machine.page_cache import drop_all, release, weights_of
from sparkd.scheduling.guard import STARTING, Sample
from sparkd.scheduling.reclaim import Reclaim

logger = logging.getLogger(__name__)

PATIENCE: Final = 0.2
"""Seconds that the GPU's driver gets to answer; some milliseconds are usual."""

MEASURE: Final = 1.0
"""Seconds between two looks at what each model's processes hold: finding them reads all of /proc."""

NOBODY_LOOKS: Final = 1.5
"""Seconds after which a look is not waited for any more."""

Family = Callable[[], Iterable[int]]
"""Finds the PIDs of one run; called from a thread."""


@dataclass(frozen=True, slots=True)
class Look:
    """The machine's memory at a moment, and what each run has of it, in bytes, where that was measured this time."""

    memory: Memory
    used: Mapping[int, int] = field(default_factory=dict)


def idle_weights(catalogue: Catalogue, running: Container[str]) -> list[Path]:
    """Where the weights of models are that do not run."""
    folder = catalogue.folder("models")
    idle = (model for model in catalogue.models.values() if model.id not in running)
    return [place for model in idle if (place := weights_of(model.source, folder))]


class Watch:
    """Looks at one machine. `memory` is what it saw first, then last."""

    def __init__(self, probe: Probe) -> None:
        """Look once. Raises ProbeError."""
        self.memory = probe.read()
        self._probe = probe
        self._thread = ThreadPoolExecutor(1, "memory")
        self._asked: asyncio.Future[Look] | None = None
        self._measured = 0.0
        self._wanted = asyncio.Event()
        self._seen: asyncio.Future[Memory] = asyncio.get_running_loop().create_future()
        self._blind = False
        self._returning = 0
        self._hasty = False

    async def run(self, told: Callable[[Look], float], families: Callable[[], Mapping[int, Family]]) -> None:
        """Look until cancelled. `told` takes each look and says how many seconds later the next one is due."""
        try:
            while True:
                pause = MEASURE
                try:
                    look = await self._look(families)
                    self.memory, self._blind = look.memory, False
                    pause = told(look)
                    self._seen.set_result(look.memory)
                    self._seen = asyncio.get_running_loop().create_future()
                except ProbeError as error:
                    if not self._blind:
                        logger.error("the machine's memory cannot be watched: %s", error.message)
                    self._blind = True
                with suppress(TimeoutError):
                    await asyncio.wait_for(
                        self._wanted.wait(), min(pause, STARTING) if self._returning else pause
                    )
                self._wanted.clear()
        finally:
            self._thread.shutdown(wait=False, cancel_futures=True)

    async def next(self, *, at_once: bool = False) -> Memory | None:
        """The next look, `at_once` or when it is due; None if there is none for long."""
        if at_once:
            self._wanted.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(NOBODY_LOOKS):
                return await asyncio.shield(self._seen)
        return None

    async def clear_the_way(self, needed: int, weights: Sequence[Path], *, drop: bool) -> None:
        """Release page cache if a GPU that takes it for used memory would not find `needed` bytes beside it: that of
        these weight files and folders, and all of it where we may `drop` it."""
        if self.memory.kind != "unified" or self.memory.free >= needed:
            return
        released = await asyncio.to_thread(release, weights)
        logger.info("%.1f GiB of weight files released from the page cache", released / GIB)
        if drop and not await asyncio.to_thread(drop_all):
            logger.warning("the page cache cannot be dropped: memory.drop_caches needs root")

    async def returned(self, model_id: str, held: int, available: int, timeout: float) -> int:  # noqa: ASYNC109
        """Wait until the model's `held` bytes are back that it had when `available` were left; at most `timeout` s.

        Return how many are missing. Without a GPU that shares memory, or has its own, the kernel has all of it back
        with the last PID.
        """
        reclaim = Reclaim(available, held, time.monotonic() + timeout)
        await self.next(at_once=True)
        self._returning += 1
        while not (reclaim.done or self._hasty or self.memory.kind == "host"):
            memory = await self.next()
            if memory and memory.available is not None:
                reclaim.note(Sample(time.monotonic(), memory.available))
            elif time.monotonic() > reclaim.deadline:
                break
        self._returning -= 1
        if reclaim.missing:
            logger.warning(
                "%s: %.1f GiB of its memory have not come back in %.0f seconds: they count as leaked",
                *(model_id, reclaim.missing / GIB, timeout),
            )
        return reclaim.missing

    def stop_waiting(self) -> None:
        """Wait for no memory any more: nothing will be launched."""
        self._hasty = True

    async def _look(self, families: Callable[[], Mapping[int, Family]]) -> Look:
        """Look now. Raises ProbeError."""
        loop = asyncio.get_running_loop()
        if self._asked is None:
            measured: Mapping[int, Family] = {}
            if loop.time() >= self._measured + MEASURE:
                measured, self._measured = families(), loop.time()
            self._asked = loop.run_in_executor(self._thread, self._read, measured)
        await asyncio.wait({self._asked}, timeout=PATIENCE)
        if not self._asked.done():
            return Look(self._probe.host())
        asked, self._asked = self._asked, None
        return asked.result()

    def _read(self, families: Mapping[int, Family]) -> Look:
        memory = self._probe.read()
        return Look(memory, {run: memory.used_by(family()) for run, family in families.items()})
