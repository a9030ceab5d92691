"""Several scrapes at once cost as much as one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Generic, TypeVar

T = TypeVar("T")


class SharedWork(Generic[T]):
    """Runs `work` for everyone who asks while it runs. It continues if they leave."""

    def __init__(self, work: Callable[[], Coroutine[None, None, T]]) -> None:
        self._work = work
        self._running: asyncio.Task[T] | None = None

    async def get(self) -> T:
        """Return the result of the run that is under way, or of a new one. Raises what the work raises."""
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._work(), name="scrape")
        return await asyncio.shield(self._running)
