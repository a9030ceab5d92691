"""Watches one started engine until its end: its processes, its log, its health path, and its progress."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final, Protocol

from sparkd.catalog.definitions import Model
from sparkd.engines import ENGINES
from sparkd.engines.engine import Cause, Exit, Milestone
from sparkd.processes.log import Log
from sparkd.supervising.attempt import Attempt
from sparkd.supervising.failure_watch import FailureWatch
from sparkd.supervising.health_watch import HealthWatch
from sparkd.supervising.stall_watch import StallWatch

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


class EngineWatch:
    """Watches the engine of one attempt. `is_healthy`: it has answered its health path with 200."""

    def __init__(self, model: Model, attempt: Attempt, log: Log, *, is_healthy: bool = False) -> None:
        self.is_healthy = is_healthy
        self._model = model
        self._attempt = attempt
        self._log = log
        self._engine = ENGINES[model.engine]
        self._failure = FailureWatch(self._engine, self._explain_exit, self._break_off)
        self._stall = StallWatch(self._engine.warm_start.early_phases if self._engine.warm_start else ())
        if is_healthy:
            self._failure.on_healthy()

    def observe(self, line: str, milestone: Milestone | None) -> None:
        """Observe a line of the log, and the step of loading that it shows."""
        self._failure.observe(line, milestone)
        if milestone:
            self._stall.record_milestone(milestone)

    def find_vital_processes(self, process_ids: Iterable[int]) -> None:
        """Watch the vital processes among these from now on. May be called from any thread."""
        self._failure.find_vital_processes(process_ids)

    async def follow(self, observer: RunObserver, end: asyncio.Future[float], liveness: float) -> Cause:
        """Return why the engine has ended; report events to `observer`. Stops it once `end` has its grace period.

        `liveness` is the seconds between two checks that it makes progress, 0 for no checks.
        """
        # A task group, so that a bug in the probe is reported at once and not only at the start deadline.
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._watch_health(observer, liveness)),
                group.create_task(self._stop_when_requested(end)),
            ]
            if self._attempt.is_warm and not self.is_healthy:
                tasks.append(group.create_task(self._watch_stall()))
            cause = await self._failure.wait_for_end(self._attempt.process)
            for task in tasks:
                task.cancel()
        return cause

    def close(self) -> None:
        """Stop watching for failures: what ends from now on has been asked to."""
        self._failure.close()

    async def _watch_health(self, observer: RunObserver, liveness: float) -> None:
        watch = HealthWatch(
            self._attempt.upstream,
            self._model.health,
            self._engine.health_errors,
            fail=self._failure.fail,
            read_log=lambda: self._log.tail(EXPLAINED_LINES),
        )
        if not self.is_healthy:
            await watch.wait_until_healthy()
            self.is_healthy = True
            self._failure.on_healthy()
            observer.on_healthy()
        if liveness:
            observer.on_wedged(str(await watch.wait_until_wedged(liveness, observer.is_busy)))

    async def _watch_stall(self) -> None:
        if cause := await self._stall.wait_until_stalled():
            self._failure.fail(cause)

    async def _stop_when_requested(self, end: asyncio.Future[float]) -> None:
        # Shielded: cancelling this task must not cancel `end`, which belongs to the run and its other attempts.
        await self._attempt.process.stop(await asyncio.shield(end))

    def _break_off(self, cause: Cause) -> None:
        """End an engine that has failed although its main process still runs.

        Its connections are closed first: otherwise it may end its responses with an error of its own.
        """
        self._attempt.upstream.break_off(f'Model "{self._model.id}" failed: {cause}')
        self._attempt.process.kill()

    def _explain_exit(self, exit_: Exit, process: str) -> Cause:
        self._attempt.process.read_output()
        return self._engine.explain_exit(exit_, self._log.tail(EXPLAINED_LINES), process)
