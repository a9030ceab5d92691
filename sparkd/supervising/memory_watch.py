"""Reads the machine's memory, often while a model starts, and reports it to the supervisor.

A driver that hangs blocks a thread, never the event loop. Meanwhile only the host's figures are reported, because
reading them never waits.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Final

from msgspec import Struct, field

from sparkd.catalog import Catalogue
from sparkd.catalog.quantities import GIB
from sparkd.errors import ProbeError
from sparkd.machine.host_memory import HostMemoryMeter
from sparkd.machine.memory import Memory, MemoryProbe
from sparkd.machine.page_cache import drop_files, drop_page_cache, weights_path
from sparkd.scheduling.guard import STARTING_INTERVAL, Sample
from sparkd.scheduling.reclaim import ReclaimTracker

logger = logging.getLogger(__name__)

DRIVER_TIMEOUT: Final = 0.2
"""Seconds to wait for the GPU's driver. It usually needs some milliseconds."""

USAGE_INTERVAL: Final = 1.0
"""Seconds between two measurements of each model's memory: finding its processes reads all of /proc."""

READING_TIMEOUT: Final = 1.5
"""Seconds to wait for the next reading."""

PidFinder = Callable[[], Iterable[int]]
"""Returns the PIDs of one run. Called from a thread."""


class MemoryReading(Struct, frozen=True):
    """The machine's memory at one moment, and the bytes that each run uses, if they were measured this time."""

    memory: Memory
    used: Mapping[int, int] = field(default_factory=dict)


def find_idle_weights(catalogue: Catalogue, running: Container[str]) -> list[Path]:
    """Return the paths of the weights of models that are not running."""
    folder = catalogue.folder("models")
    idle = (model for model in catalogue.models.values() if model.id not in running)
    return [path for model in idle if (path := weights_path(model.source, folder))]


class MemoryWatch:
    """Watches the memory of this machine. `memory` is the last reading."""

    def __init__(self, probe: MemoryProbe) -> None:
        """Take the first reading. Raises ProbeError."""
        self.memory = probe.read()
        self._probe = probe
        self._meter = HostMemoryMeter()
        self._thread = ThreadPoolExecutor(1, "memory")
        self._pending: asyncio.Future[MemoryReading] | None = None
        self._usage_read_at = 0.0
        self._wake = asyncio.Event()
        self._next_reading: asyncio.Future[Memory] = asyncio.get_running_loop().create_future()
        self._is_failing = False
        self._reclaims = 0
        self._stopped_waiting = False

    async def run(
        self, on_reading: Callable[[MemoryReading], float], pid_finders: Callable[[], Mapping[int, PidFinder]]
    ) -> None:
        """Take readings until cancelled. `on_reading` returns the seconds until the next one."""
        try:
            while True:
                pause = USAGE_INTERVAL
                try:
                    reading = await self._take_reading(pid_finders)
                    self.memory, self._is_failing = reading.memory, False
                    pause = on_reading(reading)
                    self._next_reading.set_result(reading.memory)
                    self._next_reading = asyncio.get_running_loop().create_future()
                except ProbeError as error:
                    if not self._is_failing:
                        logger.error(
                            "Memory guard inactive: cannot read the machine's memory: %s", error.message
                        )
                    self._is_failing = True
                with suppress(TimeoutError):
                    await asyncio.wait_for(
                        self._wake.wait(), min(pause, STARTING_INTERVAL) if self._reclaims else pause
                    )
                self._wake.clear()
        finally:
            self._thread.shutdown(wait=False, cancel_futures=True)

    async def next_reading(self, *, at_once: bool = False) -> Memory | None:
        """Return the next reading, taken `at_once` or when it is due. None after READING_TIMEOUT."""
        if at_once:
            self._wake.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(READING_TIMEOUT):
                return await asyncio.shield(self._next_reading)
        return None

    async def release_page_cache(self, needed: int, weights: Sequence[Path], *, drop: bool) -> None:
        """Free page cache if the GPU counts it as used and less than `needed` bytes are free: first the pages of these
        weight files and folders; with `drop`, the whole page cache."""
        if self.memory.kind != "unified" or self.memory.free >= needed:
            return
        released = await asyncio.to_thread(drop_files, weights)
        logger.info("Dropped %.1f GiB of weight files from the page cache", released / GIB)
        if drop and not await asyncio.to_thread(drop_page_cache):
            logger.warning(
                "Cannot drop the page cache: memory.drop_caches needs root. Turn it off, or run as root."
            )

    async def wait_for_reclaim(self, model_id: str, used: int, available: int, timeout: float) -> int:  # noqa: ASYNC109
        """Wait until the `used` bytes of a model that has ended are released; at most `timeout` seconds.

        `available` is what the machine had left while the model used them. Return the bytes that are still missing.
        Does not wait on a machine without a GPU: there, the kernel has released everything when the last PID is gone.
        """
        reclaim = ReclaimTracker(available, used, time.monotonic() + timeout)
        await self.next_reading(at_once=True)
        self._reclaims += 1
        while not (reclaim.done or self._stopped_waiting or self.memory.kind == "host"):
            memory = await self.next_reading()
            if memory and memory.available is not None:
                reclaim.add_sample(Sample(time.monotonic(), memory.available))
            elif time.monotonic() > reclaim.deadline:
                break
        self._reclaims -= 1
        if reclaim.missing:
            logger.warning(
                'Model "%s" ended, but %.1f GiB of its memory were not released within %.0f seconds. '
                "sparkd counts them as leaked.",
                *(model_id, reclaim.missing / GIB, timeout),
            )
        return reclaim.missing

    def stop_waiting(self) -> None:
        """Stop waiting for memory, because nothing will be launched any more."""
        self._stopped_waiting = True

    async def _take_reading(self, pid_finders: Callable[[], Mapping[int, PidFinder]]) -> MemoryReading:
        """Take a reading now. Raises ProbeError."""
        loop = asyncio.get_running_loop()
        if self._pending is None:
            measured: Mapping[int, PidFinder] = {}
            if loop.time() >= self._usage_read_at + USAGE_INTERVAL:
                measured, self._usage_read_at = pid_finders(), loop.time()
            self._pending = loop.run_in_executor(self._thread, self._read_memory, measured)
        await asyncio.wait({self._pending}, timeout=DRIVER_TIMEOUT)
        if not self._pending.done():
            return MemoryReading(self._probe.read_host())
        pending, self._pending = self._pending, None
        return pending.result()

    def _read_memory(self, pid_finders: Mapping[int, PidFinder]) -> MemoryReading:
        memory = self._probe.read()
        return MemoryReading(
            memory, {run: memory.used_by(find_pids(), self._meter) for run, find_pids in pid_finders.items()}
        )
