"""One run of one model, from its launch until nothing of it is left. The supervisor controls it."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

import msgspec

from sparkd.catalog import Catalogue
from sparkd.catalog.definitions import Model
from sparkd.engines import ENGINES
from sparkd.engines.engine import Cause, Milestone
from sparkd.errors import LaunchError
from sparkd.journal.engine_output import open_engine_journal
from sparkd.learning.history import PastRun
from sparkd.machine.memory import Memory
from sparkd.processes.log import Log
from sparkd.processes.process import Process
from sparkd.processes.run_directories import RunDirectories
from sparkd.scheduling.lifecycle import LifecycleError
from sparkd.supervising.attempt import Attempt, WarmStartFailure
from sparkd.supervising.failure_watch import FailureWatch
from sparkd.supervising.run_snapshot import RunSnapshot
from sparkd.supervising.stall_watch import StallWatch
from sparkd.supervising.starting import EngineStarter, StartRequest
from sparkd.upstream.client import Upstream

logger = logging.getLogger(__name__)

STARTING_GRACE: Final = 1.0
"""Seconds between SIGTERM and SIGKILL while a model loads. It has no requests to finish, and vLLM often hangs after a
SIGTERM at that stage."""

ENDED_BEFORE_START: Final = Cause("launch_failed", "sparkd stopped it before its engine was started.")


class RunObserver(Protocol):
    """Receives the events of a run."""

    def on_healthy(self) -> None:
        """The engine is healthy: it answers its health path."""
        ...

    def is_busy(self) -> bool:
        """Return whether requests are in progress. Only then can an engine be wedged."""
        ...

    def on_wedged(self, cause: str) -> None:
        """The engine is busy but makes no progress. The observer must stop it."""
        ...


class Run:
    """One run of a model: its attempts, one after the other, with one log.

    In bytes: `memory_used` is its memory at the last measurement, `available` what the machine had left then, `peak`
    its maximum, and `available_at_launch` what was available before it started. `phases` are in seconds. `allowance`
    is the memory its engine may use, and the machine's total. `key` is its key in the history, empty before the start.
    `snapshot` is the run as the previous sparkd handed it over, if it did.
    """

    def __init__(
        self,
        model: Model,
        number: int,
        catalogue: Catalogue,
        *,
        run_directories: RunDirectories,
        starter: EngineStarter,
        allowance: tuple[int, int],
        snapshot: RunSnapshot | None = None,
    ) -> None:
        self.model = model
        self.number = number
        self.key = snapshot.key if snapshot else ""
        self.milestone: Milestone | None = None
        self.gone = asyncio.Event()
        self.phases: dict[str, float] = {}
        self.available_at_launch: int | None = None
        self.memory_used = 0
        self.peak = 0
        self.available = 0
        self._load_time: float | None = None
        self._phase_began = time.monotonic()
        self._allowance = allowance
        self._catalogue = catalogue
        self._run_directories = run_directories
        self._starter = starter
        self._engine = ENGINES[model.engine]
        self._attempt: Attempt | None = None
        self._warm_failure: WarmStartFailure | None = None
        self._healthy = snapshot is not None and snapshot.healthy
        self._failure_watch = self._create_failure_watch()
        self._grace: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        path = self._log_path() if snapshot is None else snapshot.log_path
        self.log = Log(path, observe=self._observe_line, journal=open_engine_journal(model.engine, model.id))
        if snapshot is not None:
            self._resume(snapshot)

    @property
    def pid(self) -> int | None:
        """The PID of the engine. None before it is started."""
        return self._attempt.process.pid if self._attempt else None

    @property
    def upstream(self) -> Upstream:
        """The client of the engine. Only a launched run has one."""
        if self._attempt is None:
            raise LifecycleError(f"run {self.number} of {self.model.id} has not been launched")
        return self._attempt.upstream

    @property
    def cold_reason(self) -> str | None:
        """Why its engine was not forked from a launcher, empty if it was. None before it is started."""
        return self._attempt.cold_reason if self._attempt else None

    def snapshot(self) -> RunSnapshot | None:
        """Return what the next program needs to take over the run. None without a running process."""
        attempt = self._attempt.snapshot() if self._attempt else None
        if attempt is None:
            return None
        return RunSnapshot(
            number=self.number,
            definition=msgspec.to_builtins(self.model),
            attempt=attempt,
            warm_failure=self._warm_failure,
            key=self.key,
            log=str(self.log.path) if self.log.path else None,
            log_state=self.log.state,
            healthy=self._healthy,
            load_time=self._load_time,
            phases=self.phases,
            available_at_launch=self.available_at_launch,
            memory_used=self.memory_used,
            peak=self.peak,
            available=self.available,
        )

    def _resume(self, snapshot: RunSnapshot) -> None:
        """Take over the process of an earlier sparkd. Raises LaunchError."""
        self.log.resume(snapshot.log_state)
        self._load_time, self._warm_failure = snapshot.load_time, snapshot.warm_failure
        self.phases = dict(snapshot.phases)
        self.available_at_launch, self.memory_used = snapshot.available_at_launch, snapshot.memory_used
        self.peak, self.available = snapshot.peak, snapshot.available
        self._attempt = Attempt.adopt(snapshot.attempt, self.log)

    def record_usage(self, used: int, available: int | None) -> None:
        """Record the memory of its processes, and what was available at the same moment, in bytes."""
        if used and available is not None:
            self.memory_used, self.available = used, available
            self.peak = max(self.peak, used)

    def set_cpu_weight(self, cpu_weight: int) -> None:
        """Set its share of busy CPUs, if its process has started."""
        if self._attempt:
            self._attempt.process.set_cpu_weight(cpu_weight)

    def memory_figures(self) -> dict[str, int | None]:
        """Return its memory in bytes: `memory_used` when last measured, and its host memory now and at the peak."""
        now, peak = self._attempt.process.host_memory() if self._attempt else (None, None)
        return {"memory_used": self.memory_used or None, "host_memory": now, "host_memory_peak": peak}

    def record_ready(self, load_time: float, memory: Memory) -> None:
        """Record that it is ready. On unified memory, count the decrease of available memory as its memory: no
        other model has started or stopped meanwhile, and a driver may report no figures per process."""
        self._load_time = load_time
        self._end_phase()
        if memory.kind == "unified" and memory.available is not None and self.available_at_launch is not None:
            self.peak = max(self.peak, self.available_at_launch - memory.available)
        self._report_outcome()

    def to_past_run(self) -> PastRun | None:
        """Return its figures for the history. None if it never became ready, or ended before it was measured."""
        if self._load_time is None or not self.peak:
            return None
        return PastRun(self.peak, self.memory_used, self._load_time, self.phases)

    def find_processes(self) -> list[int]:
        """Return the PIDs of its processes that still run, and watch the vital ones. May be called from any thread."""
        return self._failure_watch.find_processes()

    async def run_to_exit(self, observer: RunObserver) -> Cause:
        """Start the process, unless there is one; return why it ended. Meanwhile, report events to `observer`."""
        try:
            attempt = self._attempt or await self._start()
        except LaunchError as error:
            return Cause("launch_failed", f"{error.message.rstrip('.')}.")
        except OSError as error:
            return Cause("launch_failed", f"sparkd cannot create its private folder: {error}.")
        if attempt is None:
            return ENDED_BEFORE_START
        attempt.open_gate()
        early = self._engine.warm_start.early_phases if self._engine.warm_start else ()
        stall = StallWatch(attempt.process, early, lambda: self.milestone)
        # A task group, so that a bug in the probe is reported at once and not only at the start deadline.
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._watch_health(observer)),
                group.create_task(self._stop_when_requested(attempt.process)),
            ]
            if attempt.is_warm and not self._healthy:
                tasks.append(group.create_task(stall.kill_when_stalled()))
            cause = await self._failure_watch.wait_for_end(attempt.process)
            for task in tasks:
                task.cancel()
        return stall.cause or cause

    def may_retry(self, cause: Cause) -> bool:
        """Return whether the start deserves another, cold attempt after this one ended by `cause`.

        Only a start that nobody ended is tried again, and only once.
        """
        if self._healthy or self._grace.done() or self._warm_failure or self._attempt is None:
            return False
        return self._attempt.may_differ_cold(cause)

    async def prepare_retry(self, cause: Cause) -> None:
        """Remove what the failed attempt has left. The next one is cold."""
        self._warm_failure = WarmStartFailure(self.key, cause.sentence)
        await self._remove_attempt()
        self._failure_watch = self._create_failure_watch()
        self.milestone, self.phases, self._phase_began = None, {}, time.monotonic()

    def terminate(self) -> None:
        """Request the process's end: SIGTERM, the model's grace period, then SIGKILL."""
        grace = self.model.stop_grace
        self._request_end(grace if self._healthy else min(grace, STARTING_GRACE))

    def kill(self) -> None:
        """Kill the process now, even if an earlier `terminate` still waits."""
        self._request_end(0)
        if self._attempt:
            self._attempt.process.kill()

    def _request_end(self, grace: float) -> None:
        self._failure_watch.close()
        if not self._grace.done():
            self._grace.set_result(grace)

    async def clean_up(self) -> None:
        """Kill what outlived the process, close its connections, and remove its folder with its sockets."""
        await self._remove_attempt()
        self.log.close()

    def _create_failure_watch(self) -> FailureWatch:
        return FailureWatch(self.model, lambda: self.log, lambda: self._attempt, starting=not self._healthy)

    async def _remove_attempt(self) -> None:
        self._failure_watch.close()
        if self._attempt:
            await self._attempt.remove(self._run_directories)
            self._attempt = None

    async def prepare(self) -> None:
        """Start the engine as far as it needs no memory of models, if it can be forked from a launcher.

        If that fails, `run_to_exit` starts it anew.
        """
        with suppress(LaunchError, OSError):
            await self._start(gated=True)

    async def _start(self, *, gated: bool = False) -> Attempt | None:
        """Start the engine; see EngineStarter. Raises LaunchError and OSError."""
        request = StartRequest(
            model=self.model,
            number=self.number,
            key=self.key,
            catalogue=self._catalogue,
            allowance=self._allowance,
            log=self.log,
            end=self._grace,
            cold_reason=self._cold_reason,
        )
        self._attempt = attempt = await self._starter.start(request, gated=gated)
        if attempt and attempt.failure:
            self._warm_failure = attempt.failure
        return attempt

    @property
    def _cold_reason(self) -> str:
        """Why the next attempt is cold. Empty if nothing is known against a warm one."""
        return f"its warm start failed: {self._warm_failure.cause}" if self._warm_failure else ""

    def _report_outcome(self) -> None:
        """Report to the launchers that a warm start has succeeded, or a cold one where a warm one had failed."""
        attempt = self._attempt
        if attempt is None or attempt.spec is None:
            return
        if attempt.is_warm:
            self._starter.launchers.record_success(attempt.spec)
        elif failure := self._warm_failure:
            self._starter.launchers.record_failure(attempt.spec, failure.key, failure.cause)

    async def _watch_health(self, observer: RunObserver) -> None:
        watch = self._failure_watch.create_health_watch(self.upstream)
        if not self._healthy:
            await watch.wait_until_healthy()
            self._healthy = True
            self._failure_watch.on_healthy()
            observer.on_healthy()
        if interval := self._catalogue.settings.failures.liveness:
            observer.on_wedged(str(await watch.wait_until_wedged(interval, observer.is_busy)))

    async def _stop_when_requested(self, process: Process) -> None:
        await process.stop(await self._grace)

    def _observe_line(self, line: str) -> None:
        milestone = self._engine.parse_milestone(line)
        self._failure_watch.observe(line, milestone)
        if (
            milestone
            and self.milestone
            and milestone.phase != self.milestone.phase
            and self._load_time is None
        ):
            self._end_phase()
        self.milestone = milestone or self.milestone

    def _end_phase(self) -> None:
        """Add the time since the last phase began to the current phase."""
        now = time.monotonic()
        if self.milestone:
            phase = self.milestone.phase
            self.phases[phase] = self.phases.get(phase, 0.0) + now - self._phase_began
        self._phase_began = now

    def _log_path(self) -> Path | None:
        try:
            return self._run_directories.new_log_path(self.model.id, self.number)
        except OSError as error:
            message = 'Cannot create a log file for model "%s"; its output is kept in memory only: %s'
            logger.warning(message, self.model.id, error)
            return None
