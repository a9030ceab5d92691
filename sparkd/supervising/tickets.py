"""The tickets of requests that wait for a run or use one, each with the future that its request awaits."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from sparkd.errors import Refusal
from sparkd.supervising.run import Run
from sparkd.upstream.client import EngineRequest


class Tickets:
    """Joins the scheduler's ticket numbers to the requests of clients. Belongs to one event loop."""

    def __init__(self) -> None:
        self._tickets: dict[int, tuple[asyncio.Future[Run], EngineRequest | None]] = {}

    def add(self, ticket: int, request: EngineRequest | None) -> asyncio.Future[Run]:
        """Add a ticket; return the future of its run. `request` is what it is for, unless the owner wants it."""
        granted: asyncio.Future[Run] = asyncio.get_running_loop().create_future()
        self._tickets[ticket] = granted, request
        return granted

    def remove(self, ticket: int) -> bool:
        """Remove a ticket, granted or not. Return whether there was one: a refused one is removed already."""
        return self._tickets.pop(ticket, None) is not None

    def grant(self, ticket: int, run: Run) -> None:
        """Grant a waiting ticket. If its task was cancelled just now, that returns the ticket."""
        granted, _ = self._tickets[ticket]
        if not granted.cancelled():
            granted.set_result(run)

    def refuse(self, ticket: int, error: Refusal) -> None:
        """Refuse and remove a waiting ticket."""
        granted, _ = self._tickets.pop(ticket)
        if not granted.cancelled():
            granted.set_exception(error)
            granted.exception()  # retrieved, so that asyncio does not warn if the client has disconnected

    def requests_of(self, tickets: Iterable[int]) -> list[EngineRequest]:
        """Return the clients' requests that hold these tickets."""
        found = (self._tickets.get(ticket, (None, None))[1] for ticket in tickets)
        return [request for request in found if request is not None]
