"""The HTTP server in front of the gateway: uvicorn's protocol on listening sockets of our own.

uvicorn's `Server` is not used: it installs signal handlers, polls, and closes its listening sockets on the way
out, which drops connections that the kernel has accepted already. Here stopping has steps: `stop_accepting`
(what comes later stays in the kernel's backlog, for a socket that outlives us), `drained`, `close`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Sequence
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from sparkd.gateway.client_connection import HEAD_TIMEOUT, ClientConnection

KEEP_ALIVE = 75
"""Seconds an idle client connection is kept; more than the 60 of most proxies, so that they close first."""

_MOST_AT_ONCE = 64
"""Connections accepted in one go, before others get their turn."""

_PAUSE = 0.5
"""Seconds without accepting after the process ran out of file descriptors."""

journal = logging.getLogger("sparkd.gateway")


class GatewayServer:
    """Serves an ASGI application on sockets that are bound and listening."""

    def __init__(self, app: Any, *, head_timeout: float = HEAD_TIMEOUT) -> None:
        config = uvicorn.Config(
            app,
            http=ClientConnection,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            log_level="critical",  # the gateway tells its own mistakes; a client's garbage is not worth a line
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=KEEP_ALIVE,
        )
        config.load()
        self._config = config
        self._state = ServerState()
        self._head_timeout = head_timeout
        self._lost = asyncio.Event()
        self._sockets: list[socket.socket] = []
        self._accepting: set[asyncio.Task[None]] = set()
        self._resume: set[asyncio.TimerHandle] = set()

    def start(self, sockets: Sequence[socket.socket]) -> None:
        """Accept connections on `sockets`, which stay the caller's own."""
        for listener in sockets:
            listener.setblocking(False)
            self._sockets.append(listener)
            asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    def stop_accepting(self) -> None:
        """Take no more connections from the kernel; those taken are served on."""
        for timer in self._resume:
            timer.cancel()
        for listener in self._sockets:
            asyncio.get_running_loop().remove_reader(listener)
        self._sockets.clear()

    async def drained(self) -> None:
        """Close idle connections, wait until the others have had their answers."""
        while self._accepting:
            await asyncio.wait(self._accepting)
        for connection in tuple(self._state.connections):
            connection.shutdown()
        while self._state.connections:
            self._lost.clear()
            await self._lost.wait()
        await self._tasks_done()

    async def close(self) -> None:
        """Close every connection at once; what is under way is cancelled."""
        self.stop_accepting()
        for connection in tuple(self._state.connections):
            connection.transport.abort()
        for task in tuple(self._state.tasks):
            task.cancel()
        await self._tasks_done()

    async def _tasks_done(self) -> None:
        while self._state.tasks:
            await asyncio.wait(self._state.tasks)

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(_MOST_AT_ONCE):
            try:
                connection, _ = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:  # out of file descriptors: the reader would fire for ever
                journal.warning("cannot accept connections: %s", error)
                self._pause(listener)
                return
            connection.setblocking(False)
            task = asyncio.ensure_future(self._serve(connection))
            self._accepting.add(task)
            task.add_done_callback(self._accepting.discard)

    async def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):  # it left already
            await asyncio.get_running_loop().connect_accepted_socket(self._protocol, connection)

    def _protocol(self) -> ClientConnection:
        return ClientConnection(self._config, self._state, self._head_timeout, self._lost.set)

    def _pause(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(listener)
        timer = loop.call_later(_PAUSE, lambda: loop.add_reader(listener, self._accept, listener))
        self._resume = {other for other in self._resume if other.when() > loop.time()} | {timer}
