"""Detects that an engine has failed although its main process still runs, and ends it with the cause."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, Final

from sparkd.catalog.definitions import Model
from sparkd.engines import ENGINES
from sparkd.engines.causes import SEE_LOG
from sparkd.engines.engine import ENGINE, Cause, Exit, Milestone
from sparkd.engines.repeated_errors import REPEATS, RepeatedErrors
from sparkd.processes.log import Log
from sparkd.processes.process import Process
from sparkd.processes.vital import Death, VitalProcesses
from sparkd.supervising.attempt import Attempt
from sparkd.supervising.health_watch import HealthWatch
from sparkd.upstream.client import Upstream

logger = logging.getLogger(__name__)

LAST_OUTPUT: Final = 0.05
"""Seconds to wait for the output of others after a vital process has died during a start: vLLM's engine core logs the
error that made it end its workers only after they have ended. In an engine that was ready, a traceback comes first."""

EXPLAINED_LINES: Final = 400
"""Last lines of the log that are searched for the cause of an exit."""


class FailureWatch:
    """Watches one attempt of a run. `attempt` returns it, None before its process has started.

    `log` returns the log of the run.
    """

    def __init__(
        self, model: Model, log: Callable[[], Log], attempt: Callable[[], Attempt | None], *, starting: bool
    ) -> None:
        self._model = model
        self._engine = ENGINES[model.engine]
        self._log = log
        self._attempt = attempt
        self._loop = asyncio.get_running_loop()
        self._failure: asyncio.Future[Cause] = self._loop.create_future()
        self._vital = VitalProcesses(self._engine.name_vital_process, self._on_death)
        self._errors = RepeatedErrors() if starting else None
        self._closed = False

    def find_processes(self) -> list[int]:
        """Return the PIDs of its processes that still run, and watch the vital ones. May be called from any thread."""
        attempt = self._attempt()
        remaining = attempt.process.remaining_pids() if attempt else []
        self._vital.find(remaining)
        return remaining

    def create_health_watch(self, upstream: Upstream) -> HealthWatch:
        """Return a watch of its health path. If it finds that the engine has failed, the engine is ended."""
        errors = self._engine.health_errors
        return HealthWatch(upstream, self._model.health, errors, fail=self._fail, read_log=self._read_log)

    def observe(self, line: str, milestone: Milestone | None) -> None:
        """Observe a line of the log, and the step of loading that it shows."""
        if self._errors is None:
            return
        if milestone:
            self._errors.record_milestone(milestone)
        elif repeated := self._errors.record_line(line, time.monotonic()):
            sentence = f"its engine logged the same error {REPEATS} times and did not get further: {repeated}"
            self._fail(Cause("repeated_error", sentence.rstrip(".") + ".", SEE_LOG))

    def on_healthy(self) -> None:
        """The engine is healthy: it no longer starts."""
        self._errors = None

    async def wait_for_end(self, process: Process) -> Cause:
        """Wait until the engine has failed or its main process has exited; return why."""
        exiting = asyncio.ensure_future(process.wait())
        ends: set[asyncio.Future[Any]] = {exiting, self._failure}
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            exiting.cancel()
            self.close()
        return self._failure.result() if self._failure.done() else self._explain(exiting.result(), ENGINE)

    def close(self) -> None:
        """Stop watching: what ends from now on has been asked to."""
        self._closed = True
        self._vital.close()

    def _on_death(self, death: Death) -> None:
        values = self._model.id, death.process, death.pid, death.exit
        logger.info('Model "%s": %s (PID %d) has ended: %s', *values)
        delay = LAST_OUTPUT if self._errors is not None else 0.0
        self._loop.call_later(delay, lambda: self._fail(self._explain(death.exit, death.process)))

    def _fail(self, cause: Cause) -> None:
        """End the engine, unless its end was requested. The first cause counts."""
        if self._closed or self._failure.done():
            return
        self._failure.set_result(cause)
        if attempt := self._attempt():
            # The connections first: the engine might still end its responses with an error of its own.
            attempt.upstream.break_off(f'Model "{self._model.id}" failed: {cause}')
            attempt.process.kill()

    def _explain(self, exit_: Exit, process: str) -> Cause:
        if attempt := self._attempt():
            attempt.process.read_output()
        return self._engine.explain_exit(exit_, self._read_log(), process)

    def _read_log(self) -> list[str]:
        return self._log().tail(EXPLAINED_LINES)
