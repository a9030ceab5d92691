"""A client's connection: HTTP/1.1 from the server's side, one request after the other.

Ours rather than uvicorn's: that needs half as long again for its part of a small request (events, a `receive()` that
waits beside the answer, separate writes of head and body), and leaves corners open. What was decided about those:

- A head must come within 30 seconds and stay below some 64 KiB. An idle connection is closed after 75 seconds.
- `Connection: Upgrade` is ignored, as RFC 9110 7.8 allows. The parser takes what follows such a head for another
  protocol: without care the body of every POST from Java's HttpClient is lost, which offers h2c each time.
- Bytes that are not HTTP are answered between answers, never in the middle of one: then the connection is cut.
- Requests sent ahead (pipelining) are answered in order; while one waits, nothing more is read.
- What still comes of a body after its answer is thrown away, so that a client which sends first finds the answer.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import Awaitable
from typing import Any, Protocol, cast

import httptools

from sparkd.errors import HeadersTooLarge, InvalidRequest, RequestError
from sparkd.gateway.asgi import DONE, Application
from sparkd.gateway.client_exchange import ClientExchange
from sparkd.gateway.client_scope import ends_of, scope_of
from sparkd.gateway.errors import error_body
from sparkd.gateway.presence import EXTENSION, Presence
from sparkd.upstream.headers import Headers

LONGEST_HEAD = 64 * 1024
"""Bytes of request line and headers, besides those of the first read."""

HEAD_TIMEOUT = 30.0
"""Seconds from connecting, or from the first byte of a head, to its end."""

KEEP_ALIVE = 75.0
"""Seconds an idle connection is kept; more than the 60 of most proxies, so that they close first."""

journal = logging.getLogger("sparkd.gateway")


class Host(Protocol):
    """The server that a connection belongs to."""

    app: Application
    head_timeout: float
    tasks: set[asyncio.Task[None]]

    def made(self, connection: ClientConnection) -> None:
        """A connection has been made."""
        ...

    def lost(self, connection: ClientConnection) -> None:
        """A connection has been lost."""
        ...


class ClientConnection(asyncio.Protocol):
    """A connection from a client."""

    def __init__(self, host: Host, loop: asyncio.AbstractEventLoop) -> None:
        self._host = host
        self._loop = loop
        self._transport: asyncio.Transport
        self._parser = httptools.HttpRequestParser(self)
        self._presence = Presence()
        self._ends: dict[str, Any] = {}
        self._writable: asyncio.Future[None] | None = None
        self._reads = True
        # The request being read, the one being answered, and those that wait for their turn.
        self._read: ClientExchange | None = None
        self._current: ClientExchange | None = None
        self._ahead: deque[ClientExchange] = deque()
        self._url = b""
        self._headers: Headers = []
        self._in_head = False
        self._head_size = 0
        self._deadline = math.inf
        self._timer: asyncio.TimerHandle

    # What the server asks for

    def shut_down(self) -> None:
        """Close after the answer under way; at once where there is none."""
        if self._current is None:
            self._transport.close()
        else:
            self._current.keep = False

    def abort(self) -> None:
        """Close now."""
        self._transport.abort()

    # What the transport tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for a first head, not for ever."""
        self._transport = cast("asyncio.Transport", transport)
        self._ends = ends_of(transport) | {"extensions": {EXTENSION: self._presence}}
        self._deadline = self._loop.time() + self._host.head_timeout
        self._timer = self._loop.call_at(self._deadline, self._check)
        self._host.made(self)

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002
        """Tell everybody who works for this client."""
        self._timer.cancel()
        self.resume_writing()
        for exchange in (self._current, *self._ahead):
            if exchange is not None:
                exchange.leave()
        self._presence.leave()
        self._host.lost(self)
        del self._parser  # it knows us: a circle that only the garbage collector would find

    def pause_writing(self) -> None:
        """Let whoever sends wait."""
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        """Let them go on."""
        if self._writable is not None:
            self._writable.set_result(None)
            self._writable = None

    def data_received(self, data: bytes) -> None:
        """Parse; a request's life begins in `on_headers_complete`."""
        if self._in_head:
            self._head_size += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._refuse(InvalidRequest(f"This is not HTTP: {error}."))
        except httptools.HttpParserUpgrade as upgrade:
            self._ignore_upgrade(data[upgrade.args[0] :])
        else:
            if self._in_head and self._head_size > LONGEST_HEAD:
                self._refuse(HeadersTooLarge(f"The request's head is longer than {LONGEST_HEAD} bytes."))

    # What the parser tells

    def on_message_begin(self) -> None:
        """Begin a head."""
        self._url = b""
        self._headers = []
        self._in_head = True
        self._head_size = 0
        if self._current is None:
            self._expire_in(self._host.head_timeout)

    def on_url(self, url: bytes) -> None:
        """Collect the target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a header; trailers are dropped."""
        if self._in_head:
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Begin a request, unless the parser means to stop behind its head."""
        self._in_head = False
        if self._parser.should_upgrade():
            return
        scope = self._ends | scope_of(self._parser, self._url, self._headers)
        keep = self._parser.should_keep_alive() and scope["http_version"] == "1.1"
        expects = any(name == b"expect" and value.lower() == b"100-continue" for name, value in self._headers)
        self._read = exchange = ClientExchange(self, self._loop, scope, keep=keep, expects=expects)
        if self._current is None:
            self._begin(exchange)
        else:
            self._ahead.append(exchange)
            self.hold_back()

    def on_body(self, data: bytes) -> None:
        """Pass a piece on."""
        if self._read is not None:
            self._read.feed(data)

    def on_message_complete(self) -> None:
        """End the request's body."""
        if self._read is not None:
            self._read.end()
            self._read = None

    def _ignore_upgrade(self, rest: bytes) -> None:
        """Parse the head once more without its `Connection`, and then what follows it."""
        method = self._parser.get_method()
        if method == b"CONNECT":
            self._refuse(InvalidRequest("This is not a proxy for CONNECT."))
            return
        lines = [method, b" ", self._url, b" HTTP/1.1\r\n"]
        for name, value in self._headers:
            if name != b"connection":
                lines += [name, b": ", value, b"\r\n"]
        self._parser = httptools.HttpRequestParser(self)
        self.data_received(b"".join((*lines, b"\r\n", rest)))

    def _refuse(self, error: RequestError) -> None:
        if self._current is not None:
            self._transport.abort()
            return
        body = error_body(error)
        head = f"HTTP/1.1 {error.status} Refused\r\ncontent-type: application/json\r\nconnection: close\r\n"
        self._transport.write(b"%scontent-length: %d\r\n\r\n%s" % (head.encode(), len(body), body))
        self._transport.close()

    # One request after the other

    def _begin(self, exchange: ClientExchange) -> None:
        self._current = exchange
        self._deadline = math.inf
        task = self._loop.create_task(self._answer(exchange))
        self._host.tasks.add(task)
        task.add_done_callback(self._host.tasks.discard)

    async def _answer(self, exchange: ClientExchange) -> None:
        try:
            await self._host.app(exchange.scope, exchange.receive, exchange.send)
        except Exception:  # noqa: BLE001  # the application's mistake must not end the server
            journal.exception("bug in sparkd: %s %s", exchange.scope["method"], exchange.scope["path"])
        finally:
            if not exchange.complete:  # cut short on purpose or by mistake: the client must notice
                self._transport.close()

    def answered(self, *, keep: bool) -> None:
        """Go on to the next request, or close."""
        self._current = None
        if not keep:
            self._transport.close()
            return
        if self._ahead:
            self._begin(self._ahead.popleft())
        else:
            self._deadline = self._loop.time() + KEEP_ALIVE
        self.read_on()

    # Flow and time

    def write(self, data: bytes) -> Awaitable[None]:
        """Send; await what is returned before sending more."""
        self._transport.write(data)
        return DONE if self._writable is None else self._writable

    def write_all(self, pieces: tuple[bytes, ...]) -> Awaitable[None]:
        """Send pieces that are too large to be joined."""
        self._transport.writelines(pieces)
        return DONE if self._writable is None else self._writable

    def hold_back(self) -> None:
        """Read no more from the client."""
        if self._reads:
            self._reads = False
            self._transport.pause_reading()

    def read_on(self) -> None:
        """Read on, unless a request waits for its turn already."""
        if not self._reads and not self._ahead:
            self._reads = True
            if not self._transport.is_closing():
                self._transport.resume_reading()

    def _expire_in(self, seconds: float) -> None:
        self._deadline = self._loop.time() + seconds
        if self._deadline < self._timer.when():
            self._timer.cancel()
            self._timer = self._loop.call_at(self._deadline, self._check)

    def _check(self) -> None:
        """Close what has taken too long. The timer is not set anew for every request: it looks, and comes again."""
        now = self._loop.time()
        if now >= self._deadline:
            self._transport.close()
        else:
            self._timer = self._loop.call_at(min(self._deadline, now + KEEP_ALIVE), self._check)
