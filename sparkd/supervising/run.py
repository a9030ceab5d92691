"""One run of one model, from its launch until nothing of it is left. The supervisor controls it."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path
from typing import Final, Protocol

import msgspec

from sparkd.catalog import Catalogue
from sparkd.catalog.definitions import Model
from sparkd.engines import ENGINES
from sparkd.engines.engine import Cause, Exit, Milestone, parse_address
from sparkd.errors import LaunchError
from sparkd.journal.engine_output import open_engine_journal
from sparkd.learning.history import PastRun
from sparkd.machine.memory import Memory
from sparkd.processes.cgroups import Cgroups
from sparkd.processes.log import Log
from sparkd.processes.process import Process
from sparkd.processes.run_directories import RunDirectories
from sparkd.scheduling.lifecycle import LifecycleError
from sparkd.supervising.failure_watch import FailureWatch
from sparkd.supervising.health_watch import HealthWatch
from sparkd.supervising.launching import build_engine_command
from sparkd.supervising.run_snapshot import RunSnapshot
from sparkd.upstream.client import Upstream

logger = logging.getLogger(__name__)

STARTING_GRACE: Final = 1.0
"""Seconds between SIGTERM and SIGKILL while a model loads. It has no requests to finish, and vLLM often hangs after a
SIGTERM at that stage."""

EXPLAINED_LINES: Final = 400
"""Last lines of the log that are searched for the cause of an exit."""


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
    """One process of a model: its private folder, its log, its address.

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
        cgroups: Cgroups | None,
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
        self._cgroups = cgroups
        self._engine = ENGINES[model.engine]
        self._failure_watch = FailureWatch(self._engine, self._explain_exit, self._break_off)
        self._process: Process | None = None
        self._healthy = False
        self._grace: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._directory: Path | None = None
        self._upstream: Upstream | None = None
        path = self._log_path() if snapshot is None else snapshot.log_path
        self.log = Log(path, observe=self._observe_line, journal=open_engine_journal(model.engine, model.id))
        if snapshot is not None:
            self._resume(snapshot)

    @property
    def pid(self) -> int | None:
        """The PID of the engine. None before it is started."""
        return self._process.pid if self._process else None

    @property
    def upstream(self) -> Upstream:
        """The client of the engine. Only a launched run has one."""
        if self._upstream is None:
            raise LifecycleError(f"run {self.number} of {self.model.id} has not been launched")
        return self._upstream

    def snapshot(self) -> RunSnapshot | None:
        """Return what the next program needs to take over the run. None without a running process."""
        process = self._process.snapshot() if self._process else None
        if process is None:
            return None
        return RunSnapshot(
            number=self.number,
            definition=msgspec.to_builtins(self.model),
            process=process,
            address=str(self.upstream.address),
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
        self._healthy, self._load_time = snapshot.healthy, snapshot.load_time
        if self._healthy:
            self._failure_watch.on_healthy()
        self.phases = dict(snapshot.phases)
        self.available_at_launch, self.memory_used = snapshot.available_at_launch, snapshot.memory_used
        self.peak, self.available = snapshot.peak, snapshot.available
        self._directory = Path(snapshot.process.directory)
        self._upstream = Upstream(parse_address(snapshot.address))
        self._process = Process.adopt(snapshot.process, self.log)

    def record_usage(self, used: int, available: int | None) -> None:
        """Record the memory of its processes, and what was available at the same moment, in bytes."""
        if used and available is not None:
            self.memory_used, self.available = used, available
            self.peak = max(self.peak, used)

    def set_cpu_weight(self, cpu_weight: int) -> None:
        """Set its share of busy CPUs, if its process has started."""
        if self._process:
            self._process.set_cpu_weight(cpu_weight)

    def memory_figures(self) -> dict[str, int | None]:
        """Return its memory in bytes: `memory_used` when last measured, and its host memory now and at the peak."""
        now, peak = self._process.host_memory() if self._process else (None, None)
        return {"memory_used": self.memory_used or None, "host_memory": now, "host_memory_peak": peak}

    def record_ready(self, load_time: float, memory: Memory) -> None:
        """Record that it is ready. On unified memory, count the decrease of available memory as its memory: no
        other model has started or stopped meanwhile, and a driver may report no figures per process."""
        self._load_time = load_time
        self._end_phase()
        if memory.kind == "unified" and memory.available is not None and self.available_at_launch is not None:
            self.peak = max(self.peak, self.available_at_launch - memory.available)

    def to_past_run(self) -> PastRun | None:
        """Return its figures for the history. None if it never became ready, or ended before it was measured."""
        if self._load_time is None or not self.peak:
            return None
        return PastRun(self.peak, self.memory_used, self._load_time, self.phases)

    def find_processes(self) -> list[int]:
        """Return the PIDs of its processes that still run, and watch the vital ones from now on. May be called from any
        thread."""
        remaining = self._process.remaining_pids() if self._process else []
        self._failure_watch.find_vital_processes(remaining)
        return remaining

    async def run_to_exit(self, observer: RunObserver) -> Cause:
        """Start the process, unless it was taken over; return why it ended. Meanwhile, report events to `observer`."""
        try:
            process = self._process or await self._start()
        except LaunchError as error:
            return Cause("launch_failed", f"{error.message.rstrip('.')}.")
        except OSError as error:
            return Cause("launch_failed", f"sparkd cannot create its private folder: {error}.")
        # A task group, so that a bug in the probe is reported at once and not only at the start deadline.
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(self._watch_health(observer))
            ending = group.create_task(self._stop_when_requested(process))
            cause = await self._failure_watch.wait_for_end(process)
            watching.cancel()
            ending.cancel()
        return cause

    def _break_off(self, cause: Cause) -> None:
        """End an engine that has failed although its main process still runs.

        Its connections are closed first: otherwise it may end its responses with an error of its own.
        """
        self.upstream.break_off(f'Model "{self.model.id}" failed: {cause}')
        if self._process:
            self._process.kill()

    def _explain_exit(self, exit_: Exit, process: str) -> Cause:
        if self._process:
            self._process.read_output()
        return self._engine.explain_exit(exit_, self.log.tail(EXPLAINED_LINES), process)

    def terminate(self) -> None:
        """Request the process's end: SIGTERM, the model's grace period, then SIGKILL."""
        grace = self.model.stop_grace
        self._request_end(grace if self._healthy else min(grace, STARTING_GRACE))

    def kill(self) -> None:
        """Kill the process now, even if an earlier `terminate` still waits."""
        self._request_end(0)
        if self._process:
            self._process.kill()

    def _request_end(self, grace: float) -> None:
        self._failure_watch.close()
        if not self._grace.done():
            self._grace.set_result(grace)

    async def clean_up(self) -> None:
        """Kill what outlived the process, close its connections, and remove its folder with its sockets."""
        self._failure_watch.close()
        if self._process:
            await self._process.stop(0)
        if self._upstream:
            await self._upstream.close()
        if self._directory:
            self._run_directories.remove(self._directory)
        self.log.close()

    async def _start(self) -> Process:
        self._directory = directory = self._run_directories.create(self.model.id, self.number)
        command, address = build_engine_command(self.model, self._catalogue, directory, self._allowance)
        self._upstream = Upstream(address)
        self._process = await Process.start(
            command, directory, self.log, cgroups=self._cgroups, cpu_weight=self.model.cpu_weight
        )
        self._run_directories.record_process(directory, self._process.pid)
        return self._process

    async def _watch_health(self, observer: RunObserver) -> None:
        watch = HealthWatch(
            self.upstream,
            self.model.health,
            self._engine.health_errors,
            fail=self._failure_watch.fail,
            read_log=lambda: self.log.tail(EXPLAINED_LINES),
        )
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
