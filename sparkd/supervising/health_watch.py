"""Watches one engine over HTTP: when it becomes healthy, and whether it makes progress on its requests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from sparkd.engines.engine import Cause
from sparkd.engines.liveness import Liveness, parse_progress
from sparkd.upstream.client import Upstream

PROBE_INTERVAL: Final = 0.025
"""Seconds between two health probes. sparkd detects a ready engine at most this much later."""

PROBE_TIMEOUT: Final = 5.0
"""Seconds to wait for the answer to a health probe before the next one is sent."""

METRICS_PATH: Final = "/metrics"
"""Path of an engine's counters. vLLM requires no API key for it."""

WEDGED: Final = Cause(
    "engine_wedged",
    "its engine stopped making progress on its requests, so sparkd stopped it.",
    "If this repeats, try another runtime or fewer concurrent requests (max-num-seqs).",
)


class HealthWatch:
    """Watches one engine through its `upstream`. `path` is its health path."""

    def __init__(self, upstream: Upstream, path: str) -> None:
        self._upstream = upstream
        self._path = path

    async def wait_until_healthy(self) -> None:
        """Probe until the engine is ready. Until then it does not listen, so a probe costs almost nothing."""
        while True:
            if await self._upstream.probe(self._path, PROBE_TIMEOUT) == 200:
                return
            await asyncio.sleep(PROBE_INTERVAL)

    async def wait_until_wedged(self, interval: float, is_busy: Callable[[], bool]) -> Cause:
        """Check its counters every `interval` seconds while `is_busy`; return a cause once it makes no progress.

        Never returns for an engine without counters.
        """
        liveness, has_counters = Liveness(), False
        while not liveness.wedged:
            await asyncio.sleep(interval)
            if not is_busy():
                liveness.reset()
                continue
            metrics = await self._upstream.fetch(METRICS_PATH, max(interval, PROBE_TIMEOUT))
            if metrics is None:
                if has_counters:
                    liveness.record_no_answer()
            elif progress := parse_progress(metrics):
                has_counters = True
                liveness.record_progress(progress)
        return WEDGED
