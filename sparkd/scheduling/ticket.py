"""A request in the ledger."""

from __future__ import annotations

from msgspec import Struct

from sparkd.scheduling.claim import Claim


class Ticket(Struct, frozen=True):
    """A request in the ledger. `arrived` and `deadline` are seconds of the caller's clock.

    A client that returns has its earlier `arrived`. `rank` orders waiting requests and `weight` is how many normal ones
    it counts as, 0 in the background; see priorities.py.
    """

    id: int
    model: str
    arrived: float
    deadline: float
    claim: Claim
    rank: float
    weight: float
