"""Watches one engine over HTTP: when it becomes healthy, and whether it makes progress on its requests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from sparkd.engines.engine import Cause, HealthErrors
from sparkd.engines.health_errors import HealthErrorTracker, explain_health_error
from sparkd.engines.liveness import Liveness, parse_progress
from sparkd.upstream.client import Upstream

PROBE_INTERVAL: Final = 0.025
"""Seconds between two health probes. sparkd detects a ready engine at most this much later."""

PROBE_TIMEOUT: Final = 5.0
"""Seconds to wait for the answer to a health probe before the next one is sent."""

ERROR_INTERVAL: Final = 1.0
"""Seconds between two health probes of an engine that was ready and now answers an error."""

METRICS_PATH: Final = "/metrics"
"""Path of an engine's counters. vLLM requires no API key for it."""

WEDGED: Final = Cause(
    "engine_wedged",
    "its engine stopped making progress on its requests, so sparkd stopped it.",
    "If this repeats, try another runtime or fewer concurrent requests (max-num-seqs).",
)


class HealthWatch:
    """Watches one engine through its `upstream`.

    `path` is its health path, and `errors` says when errors of that path are final. `fail` is then called with the
    cause; `read_log` returns the last lines of the engine's log.
    """

    def __init__(
        self,
        upstream: Upstream,
        path: str,
        errors: HealthErrors,
        *,
        fail: Callable[[Cause], None],
        read_log: Callable[[], list[str]],
    ) -> None:
        self._upstream = upstream
        self._path = path
        self._errors = HealthErrorTracker(errors)
        self._fail = fail
        self._read_log = read_log

    async def wait_until_healthy(self) -> None:
        """Probe until the engine is ready. Until then it does not listen, so a probe costs almost nothing."""
        while True:
            if await self._probe() == 200:
                return
            await asyncio.sleep(PROBE_INTERVAL)

    async def wait_until_wedged(self, interval: float, is_busy: Callable[[], bool]) -> Cause:
        """Check the engine every `interval` seconds while `is_busy`; return a cause once it makes no progress.

        Its health path is checked as well. Never returns for an engine without counters.
        """
        liveness, has_counters = Liveness(), False
        while not liveness.wedged:
            await asyncio.sleep(interval)
            if not is_busy():
                liveness.reset()
                continue
            metrics, _ = await asyncio.gather(
                self._upstream.fetch(METRICS_PATH, max(interval, PROBE_TIMEOUT)), self._check_errors()
            )
            if metrics is None:
                if has_counters:
                    liveness.record_no_answer()
            elif progress := parse_progress(metrics):
                has_counters = True
                liveness.record_progress(progress)
        return WEDGED

    async def _check_errors(self) -> None:
        """Probe once. Continue while the answers are errors, so that it takes seconds until these are final."""
        await self._probe()
        while self._errors.active:
            await asyncio.sleep(ERROR_INTERVAL)
            await self._probe()

    async def _probe(self) -> int | None:
        answer = await self._upstream.probe(self._path, PROBE_TIMEOUT)
        status = answer.status if answer else None
        if self._errors.record(status, time.monotonic()) and answer:
            self._fail(explain_health_error(self._path, answer.status, answer.body, self._read_log()))
        return status
