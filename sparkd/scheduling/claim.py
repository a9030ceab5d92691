"""The client that requests a model, and how much its request matters beside others."""

from __future__ import annotations

from msgspec import Struct

from sparkd.catalog.priority import Priority


class Claim(Struct, frozen=True):
    """What a request brings into the queue.

    `client` identifies the client ("" if unknown): a client that returns gets its place in the queue back. A request
    in the `background` never evicts a model. `keep_alive` is how long (seconds) the model stays loaded while it is idle
    after this request, 0 to unload it, inf for as long as no other model needs its memory; None: as the catalogue says.
    """

    client: str = ""
    priority: Priority = "normal"
    background: bool = False
    keep_alive: float | None = None


PLAIN_CLAIM = Claim()
"""A request that nothing is known about."""
