"""The life of one run, from its launch until nothing of it is left. Reports its events to the scheduler."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable

from msgspec import Struct, field

from sparkd.catalog import Catalogue
from sparkd.engines.engine import Cause
from sparkd.journal.handler import event
from sparkd.learning.learning import Learning
from sparkd.learning.load_estimates import PastLoad
from sparkd.machine.memory import Memory
from sparkd.scheduling.actions import Action
from sparkd.scheduling.lifecycle import State
from sparkd.scheduling.scheduler import Scheduler
from sparkd.supervising.cache_renewal import CacheRenewal
from sparkd.supervising.crash_watch import CrashWatch
from sparkd.supervising.downloads import Downloads
from sparkd.supervising.memory_watch import MemoryWatch, find_idle_weights
from sparkd.supervising.reporting import log_run_end
from sparkd.supervising.run import Run
from sparkd.supervising.tasks import Tasks
from sparkd.upstream.client import EngineRequest

logger = logging.getLogger(__name__)


class RunServices(Struct, frozen=True):
    """Shared by the lives of all runs. `launched` contains every launched run that is not cleaned up yet, by number.

    `requests_of` returns the clients' requests that hold these tickets.
    """

    catalogue: Callable[[], Catalogue]
    scheduler: Scheduler
    watch: MemoryWatch
    learning: Learning
    downloads: Downloads
    carry_out: Callable[[list[Action]], None]
    crashes: CrashWatch
    requests_of: Callable[[Iterable[int]], list[EngineRequest]]
    launched: dict[int, Run] = field(default_factory=dict)
    cache_renewal: CacheRenewal = field(default_factory=CacheRenewal)


class RunLife:
    """Drives one run through its states. Calls `on_gone` once nothing of the run is left."""

    def __init__(self, run: Run, services: RunServices, on_gone: Callable[[Run], None]) -> None:
        self._run = run
        self._services = services
        self._on_gone = on_gone
        self._preparing: asyncio.Task[None] | None = None

    def prepare(self, tasks: Tasks) -> None:
        """Begin the start, as far as it needs no memory of models. `launch` or `discard` must follow."""
        self._run.key = self._services.learning.key(self._run.model)
        self._preparing = tasks.start(self._run.prepare(), f"{self._run.model.id} preparation")

    async def discard(self) -> None:
        """Remove everything that `prepare` has started."""
        self._run.kill()
        await self._wait_until_prepared()
        await self._run.clean_up()
        self._on_gone(self._run)

    async def launch(self) -> None:
        """Launch the engine, then follow the run to its end."""
        run, services = self._run, self._services
        run.begin_load()
        run.key = await services.learning.record_start(run.model)
        services.crashes.on_launch(run.model.id, run.key)
        await self._release_page_cache()
        run.figures.available_at_launch = services.watch.memory.available
        await self._wait_until_prepared()
        await self.follow()

    async def follow(self) -> None:
        """Follow a run whose engine was launched, by this daemon or by the one before it, to its end."""
        run, services = self._run, self._services
        cause = await run.run_to_exit(self)
        while run.may_start_again and await self._begin_again(cause):
            cause = await run.run_to_exit(self)
        forgiven = self._has_request_to_blame(str(cause))
        services.carry_out(
            services.scheduler.on_exited(
                run.model.id, run.number, str(cause), time.monotonic(), forgiven=forgiven
            )
        )
        log_run_end(run.model.id, services.scheduler.entry(run.model.id))
        services.crashes.end_run(run.model.id, run.number)
        services.downloads.forget(run.model.id)
        services.learning.clear_start(run.model)
        if (past_run := run.figures.to_past_run()) is not None:
            services.learning.add_run(run.model, run.key, past_run)
        await run.clean_up()
        await self._reclaim()

    # Events of the run (sparkd.supervising.run.RunObserver)

    def on_healthy(self) -> None:
        """Report the engine as ready, and record how long that took."""
        run, services = self._run, self._services
        services.carry_out(services.scheduler.on_healthy(run.model.id, run.number, time.monotonic()))
        entry = services.scheduler.entry(run.model.id)
        services.learning.clear_start(run.model)
        if entry is not None:
            run.record_ready(entry.load_time, services.watch.memory)
            services.learning.add_load(run.model, run.key, self._past_load(entry.load_time))
            services.cache_renewal.record_ready(run.key)
            fields = event("ready", run.model.id, DURATION_MS=round(entry.load_time * 1000))
            logger.info('Model "%s" is ready after %.1f seconds', run.model.id, entry.load_time, extra=fields)

    def _past_load(self, seconds: float) -> PastLoad:
        run = self._run
        size = self._services.downloads.size(run.model.id)
        return PastLoad(seconds, dict(run.figures.phases), run.is_warm, size)

    def is_busy(self) -> bool:
        """Return whether requests are in progress."""
        entry = self._services.scheduler.entry(self._run.model.id)
        return entry is not None and entry.run == self._run.number and bool(entry.leases)

    def on_wedged(self, cause: str) -> None:
        """Have the scheduler stop an engine that makes no progress."""
        run, services = self._run, self._services
        logger.error('Model "%s" hangs: %s', run.model.id, cause, extra=event("wedged", run.model.id))
        forgiven = self._has_request_to_blame(cause, stalled=True)
        services.carry_out(
            services.scheduler.on_wedged(run.model.id, run.number, cause, time.monotonic(), forgiven=forgiven)
        )

    # Calls from the memory watch

    def on_measured(self, used: int, memory: Memory) -> None:
        """Record what the run's processes use, in bytes, and the machine's memory at that moment."""
        run, services = self._run, self._services
        run.figures.record_usage(used, memory.available)
        services.carry_out(
            services.scheduler.on_measured(run.model.id, run.number, run.figures.used, time.monotonic())
        )

    def kill(self, reason: str) -> None:
        """Kill the engine for the memory guard, and record that this model used up the machine's memory."""
        run, services = self._run, self._services
        run.kill()  # first: every millisecond counts
        message = 'The memory guard killed model "%s": %s'
        logger.error(message, run.model.id, reason, extra=event("guard-kill", run.model.id))
        services.learning.record_guard_action(run.model.id)
        entry = services.scheduler.entry(run.model.id)
        if entry is not None and entry.state is State.BACKOFF:  # otherwise it was already stopping
            services.learning.record_guard_kill(
                run.model, run.key, entry.cause if entry.is_quarantined else None
            )

    def _has_request_to_blame(self, cause: str, *, stalled: bool = False) -> bool:
        """Return whether the engine has failed because of a request. Only a ready engine that nobody ends can do so."""
        run, services = self._run, self._services
        entry = services.scheduler.entry(run.model.id)
        if entry is None or entry.run != run.number or entry.state is not State.READY or entry.killed:
            return False
        held = services.requests_of(entry.leases)
        return services.crashes.on_failure(run.model.id, run.number, run.key, held, cause, stalled=stalled)

    async def _wait_until_prepared(self) -> None:
        if self._preparing:
            await asyncio.wait({self._preparing})

    async def _begin_again(self, cause: Cause) -> bool:
        """Return whether another attempt may start the engine, and prepare it: with fresh caches, or cold.

        It gets the start deadline and the memory that the first attempt had.
        """
        run, services = self._run, self._services
        used, available = run.figures.used, run.figures.available
        has_started = services.learning.profile(run.model) is not None
        if await services.cache_renewal.renew(run, services.catalogue(), cause, has_started=has_started):
            await run.begin_again()
        elif run.may_retry_cold(cause):
            message = 'The warm start of model "%s" failed, so it starts cold: %s'
            logger.warning(message, run.model.id, cause, extra=event("cold-start", run.model.id))
            await run.begin_again(warm_failure=cause.sentence)
        else:
            return False
        timeout = services.catalogue().settings.memory.reclaim_timeout
        await services.watch.wait_for_reclaim(run.model.id, used, available, timeout)
        services.carry_out(services.scheduler.on_restarted(run.model.id, run.number, time.monotonic()))
        return True

    async def _release_page_cache(self) -> None:
        """Free page cache that the GPU would count as used memory."""
        services = self._services
        entry = services.scheduler.entry(self._run.model.id)
        catalogue = services.catalogue()
        await services.watch.release_page_cache(
            (entry.footprint if entry else 0) + services.scheduler.guard.floor,
            find_idle_weights(catalogue, {other.model.id for other in services.launched.values()}),
            drop=catalogue.settings.memory.drop_caches,
        )

    async def _reclaim(self) -> None:
        """Wait until the run's memory is released. What is missing after that counts as leaked."""
        run, services = self._run, self._services
        timeout = services.catalogue().settings.memory.reclaim_timeout
        missing = await services.watch.wait_for_reclaim(
            run.model.id, run.figures.used, run.figures.available, timeout
        )
        if missing:
            services.learning.record_leak(services.scheduler.budget.leaked + missing)
        self._on_gone(run)
        services.carry_out(
            services.scheduler.on_reclaimed(run.model.id, run.number, time.monotonic(), missing=missing)
        )
        logger.debug('Cleaned up run %d of model "%s"', run.number, run.model.id)
