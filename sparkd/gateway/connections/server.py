"""uvicorn's server on listening sockets that outlive it, stopped step by step."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Sequence
from typing import Protocol

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from sparkd.gateway.connections.protocol import HEAD_TIMEOUT, KEEP_ALIVE, Config, Shortcut


class Elsewhere(Protocol):
    """Requests that came through another server."""

    async def drained(self) -> None:
        """Wait until they have had their responses."""
        ...

    def close(self) -> None:
        """Close their connections at once."""
        ...


class HttpServer(uvicorn.Server):
    """Serves an ASGI application. `elsewhere` has requests for it that another server has accepted.

    Stopping has steps: `stop_accepting`, `drained`, `close`. `start` may follow again.

    uvicorn's own `serve` installs signal handlers, wakes up ten times a second, and in the end closes the listening
    sockets, which drops connections that the kernel has accepted already. So it is not used.
    """

    config: Config

    def __init__(
        self,
        app: ASGIApp,
        *,
        head_timeout: float = HEAD_TIMEOUT,
        keep_alive: float = KEEP_ALIVE,
        shortcut: Shortcut | None = None,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self._elsewhere = elsewhere
        config = Config(
            _cancellable(app), head_timeout=head_timeout, keep_alive=keep_alive, shortcut=shortcut
        )
        super().__init__(config)
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
        await self._tasks_done()
        if self._elsewhere is not None:
            await self._elsewhere.drained()

    async def close(self) -> None:
        """Close every connection at once; cancel what is in progress."""
        self.stop_accepting()
        for connection in tuple(self.server_state.connections):
            connection.transport.abort()
        if self._elsewhere is not None:
            self._elsewhere.close()
        await self._connections_closed()
        for task in tuple(self.server_state.tasks):
            task.cancel()
        await self._tasks_done()

    async def _connections_closed(self) -> None:
        while self.server_state.connections:
            self.config.connection_lost.clear()
            await self.config.connection_lost.wait()

    async def _tasks_done(self) -> None:
        while self.server_state.tasks:
            await asyncio.wait(self.server_state.tasks)


def _cancellable(app: ASGIApp) -> ASGIApp:
    """An application that may be cancelled: uvicorn would log that as an error of it."""

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await app(scope, receive, send)

    return run
