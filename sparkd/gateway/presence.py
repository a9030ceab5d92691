"""Whether a client is still there: in the queue, before the engine's head, and while it is answered."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from sparkd.gateway.asgi import Scope

EXTENSION = "sparkd.presence"
"""Key of `scope["extensions"]` under which a connection tells of its client's presence.

ASGI's own way is a `receive()` that waits beside the answer. It costs a tenth of a small request, and it wakes up
for the end of an answer as well, which has to be told from the client's leaving.
"""


class ClientLeft(Exception):
    """The client closed its connection before its request had come in whole."""


class Presence:
    """A client's, as its connection knows it: one for all requests of the connection."""

    __slots__ = ("gone", "watches")

    def __init__(self) -> None:
        self.gone = False
        self.watches: set[Watch] = set()

    def leave(self) -> None:
        """The connection is lost."""
        self.gone = True
        for watch in tuple(self.watches):
            watch.leave()


class Watch:
    """Cancels the current task when the client leaves. `left`: it did so."""

    __slots__ = ("_presence", "_task", "left")

    def __init__(self, presence: Presence) -> None:
        self.left = False
        self._presence = presence
        self._task = cast("asyncio.Task[Any]", asyncio.current_task())
        presence.watches.add(self)
        if presence.gone:
            self.leave()

    def leave(self) -> None:
        """Cancel the task."""
        self.left = True
        self._task.cancel()

    def absorb(self) -> None:
        """Take back the cancellation, once it has done its work."""
        self._task.uncancel()

    def close(self) -> None:
        """Watch no longer."""
        self._presence.watches.discard(self)


def presence_in(scope: Scope) -> Presence:
    """The presence of a request's client."""
    presence: Presence = scope["extensions"][EXTENSION]
    return presence
