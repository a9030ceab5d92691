"""The right to use a model, for as long as it is held."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Protocol

from sparkd.catalog.definitions import Model
from sparkd.supervising.downloads import Downloads
from sparkd.supervising.run import Run
from sparkd.upstream.client import Upstream


class Lender(Protocol):
    """Lends out ready models."""

    @property
    def downloads(self) -> Downloads:
        """Knows whether a model is on disk."""
        ...

    def request(self, model: Model) -> tuple[int, asyncio.Future[Run]]:
        """Write a request into the books; return its ticket, and its run as soon as that is ready."""
        ...

    def release(self, ticket: int) -> None:
        """Give back a granted ticket, or give up a waiting one."""
        ...


class Lease:
    """The right to use a model: it is neither stopped nor evicted for another while the lease is held.

    `async with supervisor.lease(model) as lease:` waits until the model is ready, raises Refusal if it will not
    be, and leaves the queue if the waiting task is cancelled. `request` asks without waiting; `wait` then goes on
    from there, and `release` gives back what is held.
    """

    __slots__ = ("_granted", "_supervisor", "_ticket", "model", "run", "upstream")

    upstream: Upstream
    run: int

    def __init__(self, supervisor: Lender, model: Model) -> None:
        self._supervisor = supervisor
        self._ticket = 0
        self._granted: asyncio.Future[Run] | None = None
        self.model = model

    def request(self) -> bool:
        """Ask for the model; whether the lease is granted already. Raises ModelNotFound and ModelDisabled."""
        if not self._supervisor.downloads.is_on_disk(self.model):
            return False
        self._ticket, self._granted = self._supervisor.request(self.model)
        if not self._granted.done() or self._granted.exception() is not None:
            return False
        self._use(self._granted.result())
        return True

    async def wait(self) -> None:
        """Wait until the model is ready. Raises Refusal."""
        if self._granted is None:
            # Before there is a ticket: nothing is reserved or evicted for a model that is not on disk.
            if not (downloads := self._supervisor.downloads).is_on_disk(self.model):
                await downloads.ensure_on_disk(self.model)
            self._ticket, self._granted = self._supervisor.request(self.model)
        if not self._granted.done():
            try:
                await self._granted
            except asyncio.CancelledError:
                self.release()
                raise
        self._use(self._granted.result())

    def release(self) -> None:
        """Give the lease back, or leave the queue."""
        self._supervisor.release(self._ticket)

    def _use(self, run: Run) -> None:
        self.upstream, self.run = run.upstream, run.number

    async def __aenter__(self) -> Lease:
        await self.wait()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
