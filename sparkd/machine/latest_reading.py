"""Readings of what may hang: a driver, a network drive. They are taken in a thread, and shared by all who want them."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Generic, TypeVar

T = TypeVar("T")

FRESH: Final = 1.0
"""Seconds for which a reading is used again instead of taking another one."""

DEADLINE: Final = 0.5
"""Seconds to wait for a reading."""

STALE: Final = 30.0
"""Seconds after which a reading no longer says anything about now."""


class LatestReading(Generic[T]):
    """The latest result of `read`, which may hang. At most one thread reads at a time, however many ask.

    The thread is a daemon thread, so that a driver that hangs does not keep the program from exiting. An exception of
    `read` is a bug: it is raised where the reading is awaited.
    """

    def __init__(
        self,
        read: Callable[[], T],
        name: str,
        *,
        fresh: float = FRESH,
        deadline: float = DEADLINE,
        stale: float = STALE,
    ) -> None:
        self._read = read
        self._name = name
        self._fresh, self._deadline, self._stale = fresh, deadline, stale
        self._value: T | None = None
        self._taken_at: float | None = None
        self._pending: asyncio.Future[T] | None = None

    @property
    def age(self) -> float | None:
        """Seconds since the latest reading was taken. None if there is none."""
        return None if self._taken_at is None else time.monotonic() - self._taken_at

    @property
    def value(self) -> T | None:
        """The latest reading. None if there is none, or if it is too old. Takes no reading."""
        age = self.age
        return self._value if age is not None and age < self._stale else None

    def peek(self) -> T | None:
        """Return what is known now, at once, and have a new reading taken if that is not fresh."""
        self._begin()
        return self.value

    async def get(self) -> T | None:
        """Return a fresh reading. After the deadline: the latest one, or None if that is too old."""
        if (pending := self._begin()) is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._deadline):
                    await asyncio.shield(pending)
        return self.value

    def _begin(self) -> asyncio.Future[T] | None:
        """Have a thread take a reading, unless one does already. None if the latest one is fresh."""
        if self._pending is None:
            if (age := self.age) is not None and age < self._fresh:
                return None
            self._pending = asyncio.get_running_loop().create_future()
            self._pending.add_done_callback(self._take)
            threading.Thread(target=self._run, args=(self._pending,), name=self._name, daemon=True).start()
        return self._pending

    def _take(self, done: asyncio.Future[T]) -> None:
        self._pending = None
        if not done.cancelled() and done.exception() is None:
            self._value, self._taken_at = done.result(), time.monotonic()

    def _run(self, pending: asyncio.Future[T]) -> None:
        """Runs in the thread."""
        settle: Callable[[], None]
        try:
            value = self._read()
        except Exception as error:  # noqa: BLE001 - it is raised on the event loop
            failure = error
            settle = lambda: None if pending.done() else pending.set_exception(failure)  # noqa: E731
        else:
            settle = lambda: None if pending.done() else pending.set_result(value)  # noqa: E731
        with suppress(RuntimeError):  # the event loop was closed meanwhile
            pending.get_loop().call_soon_threadsafe(settle)
