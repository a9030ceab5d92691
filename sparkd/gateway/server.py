"""The HTTP server in front of the gateway and of the control API, on listening sockets of the caller's.

Stopping has steps: `stop_accepting` (what comes later stays in the kernel's backlog, for a socket that outlives us),
`drained`, `close`. A server that closes its listening sockets on the way out drops connections that the kernel has
accepted already.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Sequence

from sparkd.gateway.asgi import Application
from sparkd.gateway.client_connection import HEAD_TIMEOUT, ClientConnection

_MOST_AT_ONCE = 64
"""Connections accepted in one go, before others get their turn."""

_PAUSE = 0.5
"""Seconds without accepting after the process ran out of file descriptors."""

journal = logging.getLogger("sparkd.gateway")


class GatewayServer:
    """Serves an ASGI application on sockets that are bound and listening."""

    def __init__(self, app: Application, *, head_timeout: float = HEAD_TIMEOUT) -> None:
        self.app = app
        self.head_timeout = head_timeout
        self.tasks: set[asyncio.Task[None]] = set()
        self._connections: set[ClientConnection] = set()
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
        for connection in tuple(self._connections):
            connection.shut_down()
        while self._connections:
            self._lost.clear()
            await self._lost.wait()
        await self._tasks_done()

    async def close(self) -> None:
        """Close every connection at once; what is under way is cancelled."""
        self.stop_accepting()
        for connection in tuple(self._connections):
            connection.abort()
        for task in tuple(self.tasks):
            task.cancel()
        await self._tasks_done()

    def made(self, connection: ClientConnection) -> None:
        """A connection has been made."""
        self._connections.add(connection)

    def lost(self, connection: ClientConnection) -> None:
        """A connection has been lost."""
        self._connections.discard(connection)
        self._lost.set()

    async def _tasks_done(self) -> None:
        while self.tasks:
            await asyncio.wait(self.tasks)

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
        return ClientConnection(self, asyncio.get_running_loop())

    def _pause(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(listener)
        timer = loop.call_later(_PAUSE, lambda: loop.add_reader(listener, self._accept, listener))
        self._resume = {other for other in self._resume if other.when() > loop.time()} | {timer}
