"""Background tasks of the daemon. None of them may fail: an exception in one is a bug, and the daemon must exit."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress

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


class Works:
    """What the daemon does in the background for as long as it serves."""

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self._works: list[tuple[str, Callable[[], Coroutine[None, None, None]]]] = []
        self._closers: list[Callable[[], None]] = []
        self._running: list[asyncio.Task[None]] = []

    def add(
        self,
        name: str,
        run: Callable[[], Coroutine[None, None, None]],
        close: Callable[[], None] | None = None,
    ) -> None:
        """Have `run` work until it is cancelled. `close` writes what is not on disk yet; it must not take long."""
        self._works.append((name, run))
        if close is not None:
            self._closers.append(close)

    def start(self) -> None:
        """Start everything."""
        for name, run in self._works:
            task = asyncio.create_task(run(), name=name)
            self._running.append(task)
            self._tasks.watch(task)

    def cancel(self) -> None:
        """Cancel everything, and close it."""
        for task in self._running:
            task.cancel()
        self.close()

    def close(self) -> None:
        """Write what is not on disk yet, also before another program takes over."""
        for close in self._closers:
            close()


async def finishes_within(seconds: float, work: Coroutine[None, None, None]) -> bool:
    """Run `work` for at most `seconds`; return whether it has finished. Cancels it otherwise."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await work
            return True
    return False
