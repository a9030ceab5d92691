"""uvicorn's server on listening sockets that outlive it, stopped step by step."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from typing import Any

import uvicorn

from sparkd.gateway.protocol import HEAD_TIMEOUT, Config, Shortcut


class HttpServer(uvicorn.Server):
    """Serves an ASGI application. Stopping has steps: `stop_accepting`, `drained`, `close`. `start` may follow again.

    uvicorn's own `serve` installs signal handlers, wakes up ten times a second, and in the end closes the listening
    sockets, which drops connections that the kernel has accepted already. So it is not used.
    """

    config: Config

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
        await self._connections_closed()

    async def close(self) -> None:
        """Close every connection at once; cancel what is in progress."""
        self.stop_accepting()
        for connection in tuple(self.server_state.connections):
            connection.transport.abort()
        for task in tuple(self.server_state.tasks):
            task.cancel()
        await self._connections_closed()

    async def _connections_closed(self) -> None:
        while self.server_state.connections:
            self.config.connection_lost.clear()
            await self.config.connection_lost.wait()
        while self.server_state.tasks:
            await asyncio.wait(self.server_state.tasks)
