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
    be, and leaves the queue if the waiting task is cancelled.
    """

    __slots__ = ("_supervisor", "_ticket", "model", "run", "upstream")

    upstream: Upstream
    run: int

    def __init__(self, supervisor: Lender, model: Model) -> None:
        self._supervisor = supervisor
        self._ticket = 0
        self.model = model

    async def __aenter__(self) -> Lease:
        if not (downloads := self._supervisor.downloads).is_on_disk(self.model):
            await downloads.ensure_on_disk(
                self.model
            )  # before there is a ticket: nothing is reserved or evicted for it
        self._ticket, granted = self._supervisor.request(self.model)
        if not granted.done():
            try:
                await granted
            except asyncio.CancelledError:
                self._supervisor.release(self._ticket)
                raise
        run = granted.result()
        self.upstream, self.run = run.upstream, run.number
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._supervisor.release(self._ticket)
