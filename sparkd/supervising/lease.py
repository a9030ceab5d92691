"""The lease: the right to use a model until the lease is released."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Protocol

from sparkd.catalog.definitions import Model
from sparkd.supervising.downloads import Downloads
from sparkd.supervising.run import Run
from sparkd.upstream.client import Upstream


class Lender(Protocol):
    """Grants leases for ready models."""

    @property
    def downloads(self) -> Downloads:
        """Checks whether a model is on disk, and downloads it."""
        ...

    def request(self, model: Model) -> tuple[int, asyncio.Future[Run]]:
        """Add a request to the ledger; return its ticket, and a future of its run."""
        ...

    def release(self, ticket: int) -> None:
        """Return a granted ticket, or cancel a waiting one."""
        ...


class Lease:
    """The right to use a model: the model is neither stopped nor evicted while the lease is held.

    `async with supervisor.lease(model) as lease:` waits until the model is ready. It raises Refusal if the model cannot
    become ready, and leaves the queue if the waiting task is cancelled.
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
            # Before the ticket exists, so that nothing is reserved or evicted for it meanwhile.
            await downloads.ensure_on_disk(self.model)
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
