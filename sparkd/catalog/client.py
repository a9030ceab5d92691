"""A client program as sparkd recognizes it, and how its requests are treated."""

from __future__ import annotations

from msgspec import Struct

from sparkd.catalog.heartbeat import HeartbeatStyle
from sparkd.catalog.priority import Priority


class Client(Struct, frozen=True, kw_only=True):
    """A client, recognized by its API key or by what its requests look like.

    `heartbeat` and `priority` are None if the client has none of its own. Requests in the `background` never evict
    a model.
    """

    name: str = ""
    heartbeat: HeartbeatStyle | None = None
    priority: Priority | None = None
    background: bool = False


UNKNOWN_CLIENT = Client()
"""A client that nothing is known about."""
