"""The HTTP/1.1 client of one engine: keeps connections alive, sends requests, passes responses on as they arrive."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Set
from functools import partial
from typing import cast

from msgspec import Struct

from sparkd.engines.engine import Address, UnixAddress
from sparkd.errors import UpstreamError
from sparkd.upstream.connection import (
    Connection,
    EngineUnreachable,
    Flow,
    Sink,
    StaleConnection,
    set_outcome,
)
from sparkd.upstream.headers import Headers, request_head

KEEP_ALIVE = 4.0
"""Seconds that an idle connection stays usable. vLLM closes its end after 5 (VLLM_HTTP_TIMEOUT_KEEP_ALIVE)."""

CONNECT_TIMEOUT = 5.0
"""Seconds to wait for a connection. A Unix socket connects at once or fails, unless its backlog is full."""

_MAX_IDLE = 256


MAX_PROBE_BODY = 4096
"""Bytes of the answer to a probe that are kept."""


class ProbeAnswer(Struct, frozen=True):
    """An engine's answer to a probe: its status, and the beginning of its body."""

    status: int
    body: str


class EngineRequest(Struct, frozen=True):
    """A request to an engine. `target` is path and query; `headers` are the client's, names in lower case.

    A body of bytes can be sent again if necessary. An iterator's pieces are passed on as they arrive: `length` is the
    body's length in bytes, None if it is unknown until the end. `without` names headers to leave out.
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
        self._expiry_timer: asyncio.TimerHandle | None = None
        self._closing_reason = ""

    async def exchange(self, request: EngineRequest, sink: Sink) -> None:
        """Send a request and pass the response to `sink`; return when the response has ended.

        Raises UpstreamError if the engine does not listen, disconnects early, or its response is not HTTP. Exceptions
        of the sink and of the body are raised too. Cancelling it closes the connection at once.
        """
        if not isinstance(request.body, (bytes, bytearray)):
            await self._upload(request, request.body, sink)
            return
        head = request_head(
            request.method, request.target, request.headers, len(request.body), request.without
        )
        connection = self._take_idle() or await self._connect()
        while True:
            ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            try:
                connection.exchange(head, request.body, sink, partial(set_outcome, ended))
                await ended
                break
            except StaleConnection:  # a new connection is never stale: at most one retry
                connection.abort()
                try:
                    connection = await self._connect()
                except EngineUnreachable as error:  # the request was sent, to the stale connection
                    reason = self._closing_reason or "the engine disconnected before it responded"
                    raise UpstreamError(reason) from error
            except BaseException:
                connection.abort()
                raise
        self._return_idle(connection)

    def try_exchange(
        self, request: EngineRequest, sink: Sink, on_end: Callable[[Exception | None], None]
    ) -> Connection | None:
        """Like `exchange`, on an idle connection. Returns None, and sends nothing, if there is none.

        The body must be bytes. `on_end` is called with None or with what `exchange` would raise, StaleConnection
        included. Call `abort` on the connection that is returned to end it early.
        """
        connection = self._take_idle()
        if connection is None:
            return None
        body = cast("bytes", request.body)
        head = request_head(request.method, request.target, request.headers, len(body), request.without)

        def ended(error: Exception | None) -> None:
            if error is None:
                self._return_idle(connection)
            else:
                connection.abort()
            on_end(error)

        connection.exchange(head, body, sink, ended)
        return connection

    async def _upload(self, request: EngineRequest, body: AsyncIterator[bytes], sink: Sink) -> None:
        """Send a body that cannot be sent again. Uses a new connection, which cannot be stale."""
        head = request_head(request.method, request.target, request.headers, request.length, request.without)
        connection = await self._connect()
        await connection.upload(head, body, request.length is None, sink)
        self._return_idle(connection)

    async def probe(self, path: str, timeout: float) -> ProbeAnswer | None:  # noqa: ASYNC109
        """GET `path`; return its answer. None if the engine does not answer within `timeout` seconds."""
        sink = _TextSink(MAX_PROBE_BODY)
        try:
            async with asyncio.timeout(timeout):
                await self.exchange(EngineRequest(b"GET", path.encode(), []), sink)
        except (UpstreamError, TimeoutError):
            return None
        return ProbeAnswer(sink.status, sink.text.decode(errors="replace"))

    async def fetch(self, path: str, timeout: float) -> str | None:  # noqa: ASYNC109
        """GET `path`; return its text, empty unless the status is 200. None after `timeout` seconds."""
        sink = _TextSink()
        try:
            async with asyncio.timeout(timeout):
                await self.exchange(EngineRequest(b"GET", path.encode(), []), sink)
        except (UpstreamError, TimeoutError):
            return None
        return sink.text.decode(errors="replace") if sink.status == 200 else ""

    async def close(self) -> None:
        """Close every connection at once. Current and later exchanges raise UpstreamError."""
        self.break_off("the engine was stopped")

    def break_off(self, reason: str) -> None:
        """Close every connection at once. Current and later exchanges raise UpstreamError with the first reason."""
        self._closing_reason = self._closing_reason or reason
        for connection in tuple(self._open):
            connection.fail(UpstreamError(self._closing_reason))
            connection.abort()
        self._idle.clear()
        if self._expiry_timer is not None:
            self._expiry_timer.cancel()

    # The pool: last in, first out, so that connections that are not needed expire and are closed

    def _take_idle(self) -> Connection | None:
        now = asyncio.get_running_loop().time()
        while self._idle:
            connection = self._idle.pop()
            if now - connection.idle_since < self._keep_alive and connection.reusable:
                return connection
            connection.abort()
        return None

    def _return_idle(self, connection: Connection) -> None:
        if self._closing_reason or not connection.reusable or len(self._idle) >= _MAX_IDLE:
            connection.abort()
            return
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        self._idle.append(connection)
        if self._expiry_timer is None:
            self._expiry_timer = loop.call_later(self._keep_alive, self._close_expired)

    def _close_expired(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        while self._idle and now - self._idle[0].idle_since >= self._keep_alive:
            self._idle.popleft().abort()
        self._expiry_timer = None
        if self._idle:
            expires = self._idle[0].idle_since + self._keep_alive
            self._expiry_timer = loop.call_at(expires, self._close_expired)

    def _on_lost(self, connection: Connection) -> None:
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    async def _connect(self) -> Connection:
        if self._closing_reason:
            raise EngineUnreachable(self._closing_reason)
        try:
            async with asyncio.timeout(self._connect_timeout):
                connection = await self._open_connection()
        except (OSError, TimeoutError) as error:
            reason = error.strerror or "there was no answer in time"
            raise EngineUnreachable(f"the engine does not accept connections: {reason}") from error
        self._open.add(connection)
        return connection

    async def _open_connection(self) -> Connection:
        loop = asyncio.get_running_loop()
        address = self.address
        pause = 0.001
        while True:
            try:
                if isinstance(address, UnixAddress):
                    _, connection = await loop.create_unix_connection(
                        lambda: Connection(loop, self._on_lost), address.path
                    )
                else:
                    _, connection = await loop.create_connection(
                        lambda: Connection(loop, self._on_lost), address.host, address.port
                    )
            except BlockingIOError:  # a Unix socket's backlog is full: the engine runs, but is busy
                await asyncio.sleep(pause)
                pause = min(pause * 2, 0.1)
            else:
                return connection


class _TextSink:
    """A sink that keeps the status and the body, at most `limit` bytes of it."""

    def __init__(self, limit: int | None = None) -> None:
        self.status = 0
        self.text = bytearray()
        self._limit = limit

    def head(self, status: int, headers: Headers, flow: Flow) -> None:  # noqa: ARG002
        self.status = status

    def body(self, data: bytes, *, more: bool) -> None:  # noqa: ARG002
        """Append a piece."""
        self.text += data
        if self._limit is not None:
            del self.text[self._limit :]
