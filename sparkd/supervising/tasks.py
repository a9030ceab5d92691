"""Background tasks of the daemon. None of them may fail: an exception in one is a bug, and the daemon must end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine

logger = logging.getLogger(__name__)


class Tasks:
    """Tasks that run until they are done. `broken` fails with the first exception that one of them raises.

    After that the scheduler's ledger cannot be trusted, so the daemon exits. Needs a running event loop.
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
        """Report an exception of a task that somebody else waits for or cancels."""
        task.add_done_callback(self._check)

    async def wait(self) -> None:
        """Wait until no started task is left."""
        while self._running:
            await asyncio.wait(self._running)

    def _check(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) and not self.failure.done():
            logger.critical("%s: bug in sparkd", task.get_name(), exc_info=error)
            self.failure.set_exception(error)
