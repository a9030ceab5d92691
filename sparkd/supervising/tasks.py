"""Background tasks of the daemon. None of them may fail: an exception in one is a bug, and the daemon must exit."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine

logger = logging.getLogger(__name__)


class Tasks:
    """A group of tasks. The future `failure` gets the first exception that one of them raises.

    After an exception the scheduler's ledger may be wrong, so the daemon exits. Needs a running event loop.
    """

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()
        self.failure: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def start(self, work: Coroutine[None, None, None], name: str) -> asyncio.Task[None]:
        """Run `work` as a task that `wait` waits for."""
        task = asyncio.create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        self.watch(task)
        return task

    def watch(self, task: asyncio.Task[None]) -> None:
        """Report an exception of a task that other code waits for or cancels."""
        task.add_done_callback(self._check)

    async def wait(self) -> None:
        """Wait until no started task is left."""
        while self._running:
            await asyncio.wait(self._running)

    def _check(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) and not self.failure.done():
            logger.critical(
                "Bug in sparkd: the task %s failed, so sparkd exits", task.get_name(), exc_info=error
            )
            self.failure.set_exception(error)
