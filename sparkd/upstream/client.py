"""Where one engine process listens: connections kept alive, requests sent, answers handed on as they come."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Set
from functools import partial
from typing import cast

from msgspec import Struct

from sparkd.engines.engine import Address, UnixAddress
from sparkd.errors import UpstreamError
from sparkd.upstream.connection import Connection, Flow, Sink, StaleConnection, set_outcome
from sparkd.upstream.headers import Headers, request_head

KEEP_ALIVE = 4.0
"""Seconds an idle connection is used again: vLLM closes its own after 5 (VLLM_HTTP_TIMEOUT_KEEP_ALIVE)."""

CONNECT_TIMEOUT = 5.0
"""Seconds. A Unix socket connects at once or not at all; a full backlog is waited for this long."""

_MOST_IDLE = 256


class EngineRequest(Struct, frozen=True):
    """What is asked of an engine. `target` is path and query; `headers` are the client's, names in lower case.

    A body given as bytes can be sent again if need be. One given as an iterator is passed on as it comes:
    `length` is its length in bytes, None where only its end will tell. `without` names headers to leave out.
    """

    method: bytes
    target: bytes
    headers: Headers
    body: bytes | bytearray | AsyncIterator[bytes] = b""
    length: int | None = None
    without: Set[bytes] = frozenset()


class Upstream:
    """The HTTP/1.1 client of one engine process."""

    def __init__(
        self, address: Address, *, keep_alive: float = KEEP_ALIVE, connect_timeout: float = CONNECT_TIMEOUT
    ) -> None:
        self.address = address
        self._keep_alive = keep_alive
        self._connect_timeout = connect_timeout
        self._idle: deque[Connection] = deque()
        self._open: set[Connection] = set()
        self._sweep: asyncio.TimerHandle | None = None
        self._closed = False

    async def exchange(self, request: EngineRequest, sink: Sink) -> None:
        """Send a request and hand the answer to `sink`; returns when the answer has ended.

        Raises UpstreamError when nobody listens, the engine breaks off, or its answer is not HTTP; whatever
        the sink or the body raises, too. When cancelled, the engine's side is closed at once.
        """
        if not isinstance(request.body, (bytes, bytearray)):
            await self._upload(request, request.body, sink)
            return
        head = request_head(
            request.method, request.target, request.headers, len(request.body), request.without
        )
        connection = self._take() or await self._connect()
        while True:
            ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            try:
                connection.exchange(head, request.body, sink, partial(set_outcome, ended))
                await ended
                break
            except StaleConnection:  # a new one never is: this goes round once
                connection.abort()
                connection = await self._connect()
            except BaseException:
                connection.abort()
                raise
        self._give_back(connection)

    def try_exchange(
        self, request: EngineRequest, sink: Sink, on_end: Callable[[Exception | None], None]
    ) -> Connection | None:
        """Like `exchange`, on a connection that is there already; None, and nothing is sent, where there is none.

        The body must be bytes. `on_end` is called with None or with what `exchange` would raise, StaleConnection
        included. Call `abort` on the connection that is returned to end it early.
        """
        connection = self._take()
        if connection is None:
            return None
        body = cast("bytes", request.body)
        head = request_head(request.method, request.target, request.headers, len(body), request.without)

        def ended(error: Exception | None) -> None:
            if error is None:
                self._give_back(connection)
            else:
                connection.abort()
            on_end(error)

        connection.exchange(head, body, sink, ended)
        return connection

    async def _upload(self, request: EngineRequest, body: AsyncIterator[bytes], sink: Sink) -> None:
        """Send a body that cannot be sent twice: on a new connection, which cannot be stale."""
        head = request_head(request.method, request.target, request.headers, request.length, request.without)
        connection = await self._connect()
        await connection.upload(head, body, request.length is None, sink)
        self._give_back(connection)

    async def probe(self, path: str, timeout: float) -> int | None:  # noqa: ASYNC109
        """GET `path`; its status, or None when nobody answers within `timeout` seconds."""
        sink = _Status()
        try:
            async with asyncio.timeout(timeout):
                await self.exchange(EngineRequest(b"GET", path.encode(), []), sink)
        except (UpstreamError, TimeoutError):
            return None
        return sink.status

    async def fetch(self, path: str, timeout: float) -> str | None:  # noqa: ASYNC109
        """GET `path`; its text, empty if the answer is not 200; None when nobody answers within `timeout` seconds."""
        sink = _Text()
        try:
            async with asyncio.timeout(timeout):
                await self.exchange(EngineRequest(b"GET", path.encode(), []), sink)
        except (UpstreamError, TimeoutError):
            return None
        return sink.text.decode(errors="replace") if sink.status == 200 else ""

    async def close(self) -> None:
        """Close every connection at once; exchanges under way raise UpstreamError, and so do later ones."""
        self._closed = True
        for connection in tuple(self._open):
            connection.fail(UpstreamError("the engine was stopped"))
            connection.abort()
        self._idle.clear()
        if self._sweep is not None:
            self._sweep.cancel()

    # The pool: last in, first out, so that what is not needed grows old and is closed

    def _take(self) -> Connection | None:
        now = asyncio.get_running_loop().time()
        while self._idle:
            connection = self._idle.pop()
            if now - connection.idle_since < self._keep_alive and connection.reusable:
                return connection
            connection.abort()
        return None

    def _give_back(self, connection: Connection) -> None:
        if self._closed or not connection.reusable or len(self._idle) >= _MOST_IDLE:
            connection.abort()
            return
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        self._idle.append(connection)
        if self._sweep is None:
            self._sweep = loop.call_later(self._keep_alive, self._close_expired)

    def _close_expired(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        while self._idle and now - self._idle[0].idle_since >= self._keep_alive:
            self._idle.popleft().abort()
        self._sweep = None
        if self._idle:
            due = self._idle[0].idle_since + self._keep_alive
            self._sweep = loop.call_at(due, self._close_expired)

    def _lost(self, connection: Connection) -> None:
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    async def _connect(self) -> Connection:
        if self._closed:
            raise UpstreamError("the engine was stopped")
        try:
            async with asyncio.timeout(self._connect_timeout):
                connection = await self._dial()
        except (OSError, TimeoutError) as error:
            raise UpstreamError(f"the engine does not accept connections: {error!r}") from error
        self._open.add(connection)
        return connection

    async def _dial(self) -> Connection:
        loop = asyncio.get_running_loop()
        address = self.address
        pause = 0.001
        while True:
            try:
                if isinstance(address, UnixAddress):
                    _, connection = await loop.create_unix_connection(
                        lambda: Connection(loop, self._lost), address.path
                    )
                else:
                    _, connection = await loop.create_connection(
                        lambda: Connection(loop, self._lost), address.host, address.port
                    )
            except BlockingIOError:  # a Unix socket's backlog is full: the engine is there, and busy
                await asyncio.sleep(pause)
                pause = min(pause * 2, 0.1)
            else:
                return connection


class _Status:
    """A sink that keeps the status alone."""

    status: int | None = None

    def head(self, status: int, headers: Headers, flow: Flow) -> None:  # noqa: ARG002
        self.status = status

    def body(self, data: bytes, *, more: bool) -> None:
        """Forget a piece."""


class _Text(_Status):
    """A sink that keeps the body of an answer too."""

    def __init__(self) -> None:
        self.text = bytearray()

    def body(self, data: bytes, *, more: bool) -> None:  # noqa: ARG002
        """Keep a piece."""
        self.text += data
