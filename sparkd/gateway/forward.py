"""A request's way through sparkd: the lease of its model, the exchange with the engine, the answer.

The lease covers the whole answer. Three things end it early: the client leaves (the task is cancelled, which
leaves the queue or closes the engine's connection at once), the engine breaks off, or the queue refuses.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import AbstractAsyncContextManager
from typing import Protocol, cast

from sparkd.catalog.definitions import Model
from sparkd.errors import SparkdError
from sparkd.gateway.answer import Answer, Closable
from sparkd.gateway.counting import Doubt
from sparkd.machine.upstream import EngineRequest, Upstream

journal = logging.getLogger("sparkd.gateway")


class Leased(Protocol):
    """What is asked of a lease."""

    @property
    def upstream(self) -> Upstream:
        """Where the model's engine listens."""
        ...


class Lender(Protocol):
    """What is asked of the supervisor."""

    def lease(self, model: Model) -> AbstractAsyncContextManager[Leased]:
        """Wait until the model is ready, and keep it so. Raises Refusal; cancelling leaves the queue."""
        ...


class Watching(Closable, Protocol):
    """Cancels the task when the client leaves."""

    left: bool


async def forward(
    lender: Lender,
    model: Model,
    request: EngineRequest,
    answer: Answer,
    watch: Watching,
    *,
    doubt: Doubt | None = None,
) -> None:
    """Answer the client with what the model's engine answers. `watch` watches over the current task.

    A `doubt` about the request is settled first, once the engine is ready.

    Raises SparkdError only as long as nothing of an answer has been sent; returns when the client has left.
    """
    try:
        await _lease_and_exchange(lender, model, request, answer, doubt)
    except asyncio.CancelledError:
        if not watch.left:
            raise
        cast("asyncio.Task[None]", asyncio.current_task()).uncancel()
    finally:
        watch.close()
        answer.close()


async def _lease_and_exchange(
    lender: Lender, model: Model, request: EngineRequest, answer: Answer, doubt: Doubt | None
) -> None:
    try:
        async with lender.lease(model) as lease:
            if doubt is not None:
                request = await doubt.settle(lease.upstream, request)
            await lease.upstream.exchange(request, answer)
            await answer.flushed()
    except Exception as error:
        if not answer.began:
            raise
        await answer.break_off(told(error, f"answer of {model.id}"))


def told(error: Exception, where: str) -> SparkdError:
    """The error as a client is told: a bug of ours goes to the journal and is only admitted."""
    if isinstance(error, SparkdError):
        return error
    journal.error("bug in sparkd: %s", where, exc_info=error)
    return SparkdError(f"sparkd made a mistake ({type(error).__name__}); its journal has the details.")
