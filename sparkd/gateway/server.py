"""uvicorn's server on listening sockets that outlive it, stopped step by step."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from typing import Any

import uvicorn

from sparkd.gateway.protocol import HEAD_TIMEOUT, Config, Shortcut

_POLL = 0.01
"""Seconds between looks at the connections that are still open, while the server stops."""


class HttpServer(uvicorn.Server):
    """Serves an ASGI application. Stopping has steps: `stop_accepting`, `drained`, `close`; then `start` may follow again.

    uvicorn's `serve` is not used: it installs signal handlers, wakes up ten times a second, and closes the listening sockets at its
    end, which drops connections that the kernel has accepted already.
    """

    def __init__(
        self, app: Any, *, head_timeout: float = HEAD_TIMEOUT, shortcut: Shortcut | None = None
    ) -> None:
        super().__init__(Config(app, head_timeout=head_timeout, shortcut=shortcut))
        self.config.load()
        self.lifespan = self.config.lifespan_class(self.config)
        self.servers = []

    async def start(self, sockets: Sequence[socket.socket]) -> None:
        """Accept connections. The sockets stay the caller's: uvicorn gets duplicates, which it may close."""
        await self.startup([listener.dup() for listener in sockets])

    def stop_accepting(self) -> None:
        """Leave new connections in the kernel's backlog, for the next server; serve those that were accepted."""
        for server in self.servers:
            server.close()
        self.servers = []

    async def drained(self) -> None:
        """Close idle connections; wait until the others have had their responses."""
        for connection in tuple(self.server_state.connections):
            connection.shutdown()
        while self.server_state.connections or self.server_state.tasks:
            await asyncio.sleep(_POLL)

    async def close(self) -> None:
        """Close every connection at once; cancel what is in progress."""
        self.stop_accepting()
        for connection in tuple(self.server_state.connections):
            connection.transport.abort()
        for task in tuple(self.server_state.tasks):
            task.cancel()
        while self.server_state.connections or self.server_state.tasks:
            await asyncio.sleep(0)
