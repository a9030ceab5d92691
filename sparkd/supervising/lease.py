"""The lease: the right to use a model until the lease is released."""

from __future__ import annotations

import asyncio
import math
import time
from types import TracebackType
from typing import Protocol

from sparkd.catalog.definitions import Model
from sparkd.scheduling.claim import PLAIN_CLAIM, Claim
from sparkd.scheduling.forecast import Forecast
from sparkd.supervising.crash_watch import CrashWatch, end_turn
from sparkd.supervising.downloads import Downloads
from sparkd.supervising.forecasts import Forecasts
from sparkd.supervising.run import Run
from sparkd.supervising.turns import Turn
from sparkd.upstream.client import EngineRequest, Upstream


class Lender(Protocol):
    """Grants leases for ready models."""

    @property
    def downloads(self) -> Downloads:
        """Checks whether a model is on disk, and downloads it."""
        ...

    @property
    def forecasts(self) -> Forecasts:
        """Estimates how long requests wait."""
        ...

    @property
    def crashes(self) -> CrashWatch:
        """Rejects requests that make engines fail."""
        ...

    def request(
        self, model: Model, request: EngineRequest | None, claim: Claim
    ) -> tuple[int, asyncio.Future[Run]]:
        """Add a request to the ledger; return its ticket, and a future of its run."""
        ...

    def release(self, ticket: int) -> None:
        """Return a granted ticket, or cancel a waiting one."""
        ...


class Lease:
    """The right to use a model: the model is neither stopped nor evicted while the lease is held.

    `async with supervisor.lease(model) as lease:` waits until the model is ready. It raises Refusal if the model cannot
    become ready, and leaves the queue if the waiting task is cancelled. `request` does not wait; `wait` continues
    from there; `release` returns the lease, or leaves the queue. A lease for the owner has no request.
    """

    __slots__ = (
        "_claim",
        "_download",
        "_granted",
        "_request",
        "_supervisor",
        "_ticket",
        "_turn",
        "model",
        "run",
        "upstream",
    )

    upstream: Upstream
    run: int

    def __init__(
        self,
        supervisor: Lender,
        model: Model,
        request: EngineRequest | None = None,
        claim: Claim = PLAIN_CLAIM,
    ) -> None:
        self._claim = claim
        self._supervisor = supervisor
        self._request = request
        self._turn: Turn | None = None
        self._ticket = 0
        self._granted: asyncio.Future[Run] | None = None
        self._download: tuple[float, float] | None = None
        self.model = model

    def request(self) -> bool:
        """Ask for the model; whether the lease is granted already. Raises ModelNotFound and ModelDisabled."""
        supervisor, model = self._supervisor, self.model
        if not (
            supervisor.downloads.is_on_disk(model) and supervisor.crashes.may_pass(model.id, self._request)
        ):
            return False
        granted = self._enqueue()
        if not granted.done() or granted.exception() is not None:
            return False
        self._use(granted.result())
        return True

    async def wait(self) -> None:
        """Wait until the model is ready. Raises Refusal and RequestCrashesEngine."""
        granted = self._granted
        if granted is None:
            self._turn = await self._supervisor.crashes.admit(self.model.id, self._request)
            # Before there is a ticket: nothing is reserved or evicted for a model that is not on disk.
            if not (downloads := self._supervisor.downloads).is_on_disk(self.model):
                began = time.monotonic()
                self._download = began, math.inf
                await downloads.ensure_on_disk(self.model)
                self._download = began, time.monotonic()
            granted = self._enqueue()
        if not granted.done():
            try:
                await granted
            except asyncio.CancelledError:
                self.release()
                raise
        self._use(granted.result())

    def forecast(self) -> Forecast:
        """Return what the request waits for now, and for how long yet. Cheap: may be called again and again."""
        forecasts = self._supervisor.forecasts
        waiting = None if self._granted is None else forecasts.of_ticket(self._ticket)
        return waiting or forecasts.of_request(self.model)

    def load_began(self) -> float | None:
        """Return when the download or load began that is under way (steady clock). None if the model is not loaded now.

        Costs one look-up.
        """
        spans = (self._supervisor.forecasts.load_span(self.model), self._download)
        return next((span[0] for span in spans if span is not None and span[1] == math.inf), None)

    def load_seconds(self, since: float, until: float) -> float:
        """Return how many of the seconds between two times of the steady clock the model was downloaded or loaded."""
        spans = (self._supervisor.forecasts.load_span(self.model), self._download)
        overlaps = (min(until, span[1]) - max(since, span[0]) for span in spans if span is not None)
        return sum(max(0.0, overlap) for overlap in overlaps)

    def release(self, status: int = 0) -> None:
        """Give the lease back, or leave the queue.

        `status` is that of a complete response, 500 or more if the engine failed, 0 if neither is known.
        """
        if status and self._request is not None:
            self._supervisor.crashes.record_end(self.model.id, self.run, self._request, status)
        if self._turn is not None:
            end_turn(self._turn, status)
        self._supervisor.release(self._ticket)

    def _enqueue(self) -> asyncio.Future[Run]:
        self._ticket, self._granted = self._supervisor.request(self.model, self._request, self._claim)
        return self._granted

    def _use(self, run: Run) -> None:
        self.upstream, self.run = run.upstream, run.number
        if self._turn is not None:
            self._turn.limit()

    async def __aenter__(self) -> Lease:
        await self.wait()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
