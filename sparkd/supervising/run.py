"""One run of one model, from its launch until nothing of it is left. The supervisor controls it."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from sparkd.catalog import Catalogue
from sparkd.catalog.definitions import Model
from sparkd.engines import ENGINES
from sparkd.engines.engine import Cause, Milestone
from sparkd.errors import LaunchError
from sparkd.journal.engine_output import open_engine_journal
from sparkd.learning.load_estimates import LoadPosition
from sparkd.machine.memory import Memory
from sparkd.processes.log import Log
from sparkd.processes.run_directories import RunDirectories
from sparkd.scheduling.lifecycle import LifecycleError
from sparkd.supervising.attempt import Attempt, WarmStartFailure
from sparkd.supervising.engine_watch import EngineWatch, RunObserver
from sparkd.supervising.launching import find_cold_reason
from sparkd.supervising.run_figures import RunFigures
from sparkd.supervising.run_snapshot import RunSnapshot
from sparkd.supervising.starting import EngineStarter, StartRequest
from sparkd.upstream.client import Upstream

logger = logging.getLogger(__name__)

STARTING_GRACE: Final = 1.0
"""Seconds between SIGTERM and SIGKILL while a model loads. It has no requests to finish, and vLLM often hangs after a
SIGTERM at that stage."""

ENDED_BEFORE_START: Final = Cause("launch_failed", "sparkd stopped it before its engine was started.")


class Run:
    """One run of a model: one attempt to start its engine, or a few, with one log.

    `allowance` is the memory its engine may use, and the machine's total, in bytes. `key` is its key in the history,
    empty before the start. `snapshot` is the run as the previous sparkd handed it over, if it did.
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
        self.milestone: Milestone | None = snapshot.milestone if snapshot else None
        self.gone = asyncio.Event()
        self.figures = snapshot.figures if snapshot else RunFigures()
        self._allowance = allowance
        self._catalogue = catalogue
        self._run_directories = run_directories
        self._starter = starter
        self._engine = ENGINES[model.engine]
        self._attempt: Attempt | None = None
        self._watch: EngineWatch | None = None
        self._warm_failure: WarmStartFailure | None = None
        self._end: asyncio.Future[float] = asyncio.get_running_loop().create_future()
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

    def begin_load(self) -> None:
        """Begin to measure its load. A preparation does not count, because others still used the memory then."""
        self.figures.restart_phases()
        self.figures.had_launcher = find_cold_reason(self.model) is None and self._starter.launchers.is_ready(
            self.model.runtime
        )

    @property
    def is_warm(self) -> bool:
        """Whether its engine was, or will be, forked from a launcher that was ready when its load began."""
        return self.figures.had_launcher and not self.cold_reason

    def load_position(self, since: float, now: float) -> LoadPosition:
        """Return where its load is that began at `since`, in seconds of the steady clock."""
        figures, milestone = self.figures, self.milestone
        return LoadPosition(
            elapsed=now - since,
            phase=milestone.phase if milestone else None,
            in_phase=now - figures.phase_began,
            progress=milestone.progress if milestone else None,
            progress_age=now - figures.progress_at,
        )

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
            healthy=self._is_healthy,
            figures=self.figures,
            milestone=self.milestone,
        )

    def _resume(self, snapshot: RunSnapshot) -> None:
        """Take over the process of an earlier sparkd. Raises LaunchError."""
        self.log.resume(snapshot.log_state)
        self._warm_failure = snapshot.warm_failure
        self._use(Attempt.adopt(snapshot.attempt, self.log), is_healthy=snapshot.healthy)

    def set_cpu_weight(self, cpu_weight: int) -> None:
        """Set its share of busy CPUs, if its process has started."""
        if self._attempt:
            self._attempt.process.set_cpu_weight(cpu_weight)

    def memory_figures(self) -> dict[str, int | None]:
        """Return its memory in bytes: `memory_used` when last measured, and its host memory now and at the peak."""
        now, peak = self._attempt.process.host_memory() if self._attempt else (None, None)
        return {"memory_used": self.figures.used or None, "host_memory": now, "host_memory_peak": peak}

    def record_ready(self, load_time: float, memory: Memory) -> None:
        """Record that it is ready, and report to the launchers whether it started warm."""
        self.figures.record_ready(load_time, self.milestone, memory)
        launchers, attempt = self._starter.launchers, self._attempt
        if attempt is None or attempt.spec is None:
            return
        if attempt.is_warm:
            launchers.record_success(attempt.spec)
        elif failure := self._warm_failure:
            launchers.record_failure(attempt.spec, failure.key, failure.cause)

    def find_processes(self) -> list[int]:
        """Return the PIDs of its processes that still run, and watch the vital ones from now on. May be called from any
        thread."""
        attempt, watch = self._attempt, self._watch
        remaining = attempt.process.remaining_pids() if attempt else []
        if watch:
            watch.find_vital_processes(remaining)
        return remaining

    async def prepare(self) -> None:
        """Start the engine as far as it needs no memory of models, if it can be forked from a launcher.

        If that fails, `run_to_exit` starts it from the beginning.
        """
        with suppress(LaunchError, OSError):
            await self._start(gated=True)

    async def run_to_exit(self, observer: RunObserver) -> Cause:
        """Start the process, unless there is one; return why it ended. Meanwhile, report events to `observer`."""
        try:
            if self._attempt is None:
                await self._start()
        except LaunchError as error:
            return Cause("launch_failed", f"{error.message.rstrip('.')}.")
        except OSError as error:
            return Cause("launch_failed", f"sparkd cannot create its private folder: {error}.")
        if self._attempt is None or self._watch is None:
            return ENDED_BEFORE_START
        self._attempt.open_gate()
        return await self._watch.follow(observer, self._end, self._catalogue.settings.failures.liveness)

    @property
    def may_start_again(self) -> bool:
        """Whether the start has failed by itself, so that another attempt may succeed."""
        return self._attempt is not None and not self._is_healthy and not self._end.done()

    def may_retry_cold(self, cause: Cause) -> bool:
        """Return whether a cold attempt may succeed after this one ended by `cause`. There is only one."""
        attempt = self._attempt
        return attempt is not None and not self._warm_failure and attempt.may_differ_cold(cause)

    async def begin_again(self, warm_failure: str = "") -> None:
        """Remove what the failed attempt has left. The next one is cold if this one failed because it was warm."""
        if warm_failure:
            self._warm_failure = WarmStartFailure(self.key, warm_failure)
        await self._remove_attempt()
        self.milestone = None
        self.figures.restart_phases()

    def terminate(self) -> None:
        """Request the process's end: SIGTERM, the model's grace period, then SIGKILL."""
        grace = self.model.stop_grace
        self._request_end(grace if self._is_healthy else min(grace, STARTING_GRACE))

    def kill(self) -> None:
        """Kill the process now, even if an earlier `terminate` still waits."""
        self._request_end(0)
        if self._attempt:
            self._attempt.process.kill()

    async def clean_up(self) -> None:
        """Kill what outlived the process, close its connections, and remove its folder with its sockets."""
        await self._remove_attempt()
        self._starter.launchers.reap_adopted()
        self.log.close()

    @property
    def _is_healthy(self) -> bool:
        return self._watch is not None and self._watch.is_healthy

    async def _start(self, *, gated: bool = False) -> None:
        """Start the engine; see EngineStarter. Raises LaunchError and OSError."""
        self.milestone = self._engine.first_milestone
        failure = self._warm_failure
        request = StartRequest(
            model=self.model,
            number=self.number,
            key=self.key,
            catalogue=self._catalogue,
            allowance=self._allowance,
            log=self.log,
            end=self._end,
            cold_reason=f"its warm start failed: {failure.cause}" if failure else "",
        )
        if attempt := await self._starter.start(request, gated=gated):
            self._use(attempt)

    def _use(self, attempt: Attempt, *, is_healthy: bool = False) -> None:
        self._attempt = attempt
        self._warm_failure = attempt.failure or self._warm_failure
        self._watch = EngineWatch(self.model, attempt, self.log, is_healthy=is_healthy)

    async def _remove_attempt(self) -> None:
        if self._watch:
            self._watch.close()
        if self._attempt:
            await self._attempt.remove(self._run_directories)
        self._attempt = self._watch = None

    def _request_end(self, grace: float) -> None:
        if self._watch:
            self._watch.close()
        if not self._end.done():
            self._end.set_result(grace)

    def _observe_line(self, line: str) -> None:
        milestone, last = self._engine.parse_milestone(line), self.milestone
        if self._watch:
            self._watch.observe(line, milestone)
        if milestone and last and milestone.phase != last.phase and self.figures.load_time is None:
            self.figures.end_phase(last)
        if milestone:
            self.milestone, self.figures.progress_at = milestone, time.monotonic()

    def _log_path(self) -> Path | None:
        try:
            return self._run_directories.new_log_path(self.model.id, self.number)
        except OSError as error:
            message = 'Cannot create a log file for model "%s"; its output is kept in memory only: %s'
            logger.warning(message, self.model.id, error)
            return None
