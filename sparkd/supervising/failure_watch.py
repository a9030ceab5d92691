"""Detects that an engine has failed although its main process still runs."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

from sparkd.engines.causes import SEE_LOG
from sparkd.engines.engine import ENGINE, Cause, Engine, Exit, Milestone
from sparkd.engines.repeated_errors import REPEATS, RepeatedErrors
from sparkd.processes.process import Process
from sparkd.processes.vital import Death, VitalProcesses

logger = logging.getLogger(__name__)

LAST_OUTPUT: Final = 0.05
"""Seconds to wait for the output of others after a vital process has died during a start: vLLM's engine core logs the
error that made it end its workers only after they have ended. In an engine that was ready, a traceback comes first."""


class FailureWatch:
    """Watches one engine. Calls `on_failure` once it has failed.

    `explain` reads the cause of an exit from the log: see Engine.explain_exit.
    """

    def __init__(
        self, engine: Engine, explain: Callable[[Exit, str], Cause], on_failure: Callable[[Cause], None]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._failure: asyncio.Future[Cause] = self._loop.create_future()
        self._explain = explain
        self._on_failure = on_failure
        self._vital = VitalProcesses(engine.name_vital_process, self._on_death)
        self._errors: RepeatedErrors | None = RepeatedErrors()
        self._closed = False

    def find_vital_processes(self, process_ids: Iterable[int]) -> None:
        """Watch the vital processes among these. May be called from any thread."""
        self._vital.find(process_ids)

    def observe(self, line: str, milestone: Milestone | None) -> None:
        """Observe a line of the log, and the step of loading that it shows."""
        if self._errors is None:
            return
        if milestone:
            self._errors.record_milestone(milestone)
        elif repeated := self._errors.record_line(line, time.monotonic()):
            sentence = f"its engine logged the same error {REPEATS} times and did not get further: {repeated}"
            self.fail(Cause("repeated_error", sentence.rstrip(".") + ".", SEE_LOG))

    def on_healthy(self) -> None:
        """The engine is healthy: it no longer starts."""
        self._errors = None

    def fail(self, cause: Cause) -> None:
        """Record that the engine has failed. The first cause counts."""
        if not self._closed and not self._failure.done():
            self._failure.set_result(cause)
            self._on_failure(cause)

    async def wait_for_end(self, process: Process) -> Cause:
        """Wait until the engine has failed or its main process has exited; return why."""
        exiting = asyncio.ensure_future(process.wait())
        ends: set[asyncio.Future[Any]] = {exiting, self._failure}
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            exiting.cancel()
        return self._failure.result() if self._failure.done() else self._explain(exiting.result(), ENGINE)

    def close(self) -> None:
        """Stop watching: what ends from now on has been asked to."""
        self._closed = True
        self._vital.close()

    def _on_death(self, death: Death) -> None:
        logger.debug("PID %d (%s) has ended: %s", death.pid, death.process, death.exit)
        delay = LAST_OUTPUT if self._errors is not None else 0.0
        self._loop.call_later(delay, lambda: self.fail(self._explain(death.exit, death.process)))
