"""A request's way through sparkd: the lease of its model, the exchange with the engine, the answer.

The lease covers the whole answer. Three things end it early: the client leaves (the task is cancelled, which
leaves the queue or closes the engine's connection at once), the engine breaks off, or the queue refuses.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from sparkd.catalog.definitions import Model
from sparkd.errors import SparkdError
from sparkd.gateway.answer import Answer
from sparkd.gateway.body import Upload
from sparkd.gateway.incidents import Incidents
from sparkd.gateway.outgoing import Outgoing
from sparkd.gateway.presence import Presence, Watch
from sparkd.gateway.request import Request
from sparkd.journal.handler import event
from sparkd.upstream.client import Upstream

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


async def forward(
    lender: Lender, outgoing: Outgoing, answer: Answer, presence: Presence, incidents: Incidents
) -> None:
    """Answer the client with what the model's engine answers; `incidents` is told how that went.

    A doubt about the request is settled first, once the engine is ready.

    Raises SparkdError only as long as nothing of an answer has been sent; returns when the client has left.
    """
    watch = Watch(presence)
    try:
        async with lender.lease(outgoing.model) as lease:
            request = outgoing.request
            if outgoing.doubt is not None:
                request = await outgoing.doubt.settle(lease.upstream, request)
            await lease.upstream.exchange(request, answer)
            if answer.catching_up is not None:
                await answer.catching_up
        incidents.answered(answer.request, answer.status)
    except asyncio.CancelledError:
        if not watch.left:
            raise
        watch.absorb()
        incidents.left(answer.request)
    except Exception as error:
        if not answer.began:
            raise
        told_error = told(error, f"answer of {outgoing.model.id}", answer.request)
        incidents.cut(answer.request, told_error)
        await _break_off(answer, told_error, watch)
    finally:
        watch.close()
        answer.close()
        if isinstance(outgoing.request.body, Upload):
            outgoing.request.body.close()


async def _break_off(answer: Answer, error: SparkdError, watch: Watch) -> None:
    try:
        await answer.break_off(error)
    except asyncio.CancelledError:
        if not watch.left:
            raise
        watch.absorb()


def told(error: Exception, where: str, request: Request) -> SparkdError:
    """The error as a client is told: a bug of ours goes to the journal and is only admitted."""
    if isinstance(error, SparkdError):
        return error
    fields = event("bug", request.model, REQUEST_ID=request.identify().decode())
    journal.error("bug in sparkd: %s", where, exc_info=error, extra=fields)
    return SparkdError(f"sparkd made a mistake ({type(error).__name__}); its journal has the details.")
