"""uvicorn's HTTP protocol, with what it leaves open decided.

Each override says why it is there; tests/gateway/test_protocol.py has a test that fails without it. All of them rely on
the insides of the uvicorn version that pyproject.toml pins.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any, cast

import httptools
import uvicorn
from starlette.types import Scope
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from sparkd.errors import HeadersTooLarge, InvalidRequest, RequestError
from sparkd.gateway.request_head import HEAD
from sparkd.gateway.responses.errors import error_body
from sparkd.gateway.responses.response_writer import EXTENSION, Observer, ResponseWriter
from sparkd.service.sockets import BACKLOG

MAX_HEAD = 64 * 1024
"""Bytes of request line and headers, besides those of the first read."""

HEAD_TIMEOUT = 30.0
"""Seconds from connecting, or from the first byte of a head, to its end."""

KEEP_ALIVE = 75.0
"""Seconds an idle connection is kept; more than the 60 of most proxies, so that they close first."""

ARRIVAL_TIMEOUT = 1.0
"""Seconds a client that has just connected has to send its first request once the server stops."""

Shortcut = Callable[[ResponseWriter], bool]
"""Takes a complete request without running the ASGI application. False: it has not, and nothing was written."""


class Config(uvicorn.Config):
    """uvicorn's settings as sparkd uses them, and its own.

    `shortcut` is called before the application is run. `connection_lost` is set whenever a connection is.
    """

    def __init__(
        self,
        app: Any,
        *,
        head_timeout: float = HEAD_TIMEOUT,
        keep_alive: float = KEEP_ALIVE,
        shortcut: Shortcut | None = None,
    ) -> None:
        super().__init__(
            app,
            http=ClientConnection,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            backlog=BACKLOG,  # uvicorn calls listen(2) again, and its own 2048 would halve the queue
        )
        self.connection_lost = asyncio.Event()
        self.head_timeout = head_timeout
        self.keep_alive = keep_alive
        self.shortcut = shortcut


class ClientConnection(HttpToolsProtocol):
    """A client's connection. `observer` follows the client while a response is written to it by a ResponseWriter."""

    config: Config

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.observer: Observer | None = None
        self._current: RequestResponseCycle | None = None
        self._begun: tuple[RequestResponseCycle, ASGI3Application] | None = None
        self._in_read = False
        self._in_head = False
        self._fresh = True
        self._stopping = False
        self._head_size = 0
        self._deadline = math.inf
        self._timer: asyncio.TimerHandle

    # Timeouts: uvicorn has none for a head, and sets a timer per request for idle connections.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Limit the time to the first head."""
        super().connection_made(transport)
        self._deadline = self.loop.time() + self.config.head_timeout
        self._timer = self.loop.call_at(self._deadline, self._check_deadline)

    def _expire_in(self, seconds: float) -> None:
        self._deadline = self.loop.time() + seconds
        if self._deadline < self._timer.when():
            self._timer.cancel()
            self._timer = self.loop.call_at(self._deadline, self._check_deadline)

    def _check_deadline(self) -> None:
        """Close the connection if its time is up; otherwise look again later. One timer serves many requests."""
        now = self.loop.time()
        if now >= self._deadline:
            self.transport.close()
        else:
            self._timer = self.loop.call_at(
                min(self._deadline, now + self.config.keep_alive), self._check_deadline
            )

    # Stopping: uvicorn closes a connection whose first request is still on its way, and so loses that request.

    def shutdown(self) -> None:
        """Close the connection after its current request, after its first one, or now if it is idle."""
        self._stopping = True
        if self._fresh:
            self._expire_in(ARRIVAL_TIMEOUT)
        else:
            super().shutdown()

    # Disconnecting: uvicorn informs only the latest request; with pipelining that is not the one being answered.

    def connection_lost(self, exc: Exception | None) -> None:
        """Report to everything that works for this client that it has disconnected."""
        self._timer.cancel()
        for cycle in (self._current, *(cycle for cycle, _ in self.pipeline)):
            if cycle is not None:
                cycle.disconnected = True
                cycle.message_event.set()
        super().connection_lost(exc)
        self.cycle = None  # type: ignore[assignment]  # it knows us: a circle that only the garbage collector would find
        self._begun = None
        self.config.connection_lost.set()
        if self.observer is not None:
            self.observer.client_disconnected()

    def resume_writing(self) -> None:
        """Report that the client has read what was sent."""
        super().resume_writing()
        if self.observer is not None:
            self.observer.client_writable()

    # Heads: uvicorn's have no maximum size, and it adds trailers of a body to the request's headers.

    def data_received(self, data: bytes) -> None:
        """Parse; then begin the request whose head was in this read."""
        if self._in_head:
            self._head_size += len(data)
        self._in_read = True
        try:
            self._parse(data)
        except httptools.HttpParserError as error:
            self._reject(InvalidRequest(_describe_invalid(data, error)))
        else:
            if self._in_head and self._head_size > MAX_HEAD:
                self._reject(HeadersTooLarge(f"The request's head is longer than {MAX_HEAD} bytes."))
        self._in_read = False
        if self._begun is not None:
            (cycle, app), self._begun = self._begun, None
            self._start_asgi_task(cycle, app)

    def on_message_begin(self) -> None:
        """Limit the size of the head, and the time until it is complete."""
        super().on_message_begin()
        self._in_head = True
        self._head_size = 0
        if self._current is None:
            self._expire_in(self.config.head_timeout)

    def on_headers_complete(self) -> None:
        """Leave a head that offers an upgrade to `_parse`. Trailers go to a list that nobody reads."""
        self._in_head = False
        if self.url[:1] not in b"/*":
            self._use_host_of_target()
        if not self.parser.should_upgrade():
            super().on_headers_complete()
            self.headers = []

    def _use_host_of_target(self) -> None:
        """Replace `Host` by the host of a target that is a whole URL (RFC 9112 3.2.2)."""
        host = self.url.partition(b"://")[2].partition(b"/")[0].partition(b"?")[0]
        self.headers[:] = [*(header for header in self.headers if header[0] != b"host"), (b"host", host)]

    def on_message_complete(self) -> None:
        """As above: such a message ends, for the parser, with its head."""
        if not self.parser.should_upgrade():
            super().on_message_complete()

    # Upgrades: uvicorn drops what follows such a head, and with it the body of each POST of Java's HttpClient,
    # which offers h2c every time. RFC 9110 7.8 allows to ignore the offer.

    def _parse(self, data: bytes) -> None:
        """Parse one read. Raises HttpParserError.

        A loop, and no copies: one read may bring thousands of pipelined heads that each offer an upgrade.
        """
        rest: bytes | memoryview = data
        while rest:
            try:
                self.parser.feed_data(rest)
            except httptools.HttpParserUpgrade as upgrade:
                rest = memoryview(rest)[upgrade.args[0] :]
                if self.parser.get_method() == b"CONNECT":
                    self._reject(InvalidRequest("This is not a proxy for CONNECT."))
                    return
                self._parse_without_upgrade()
            else:
                return

    def _parse_without_upgrade(self) -> None:
        """Parse the head again without its `Connection` headers."""
        lines = [self.parser.get_method(), b" ", self.url, b" HTTP/1.1\r\n"]
        for name, value in self.headers:
            if name != b"connection":
                lines += [name, b": ", value, b"\r\n"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.feed_data(b"".join((*lines, b"\r\n")))

    # Errors: uvicorn's are plain text, and may be written into a response that has begun.

    def _reject(self, error: RequestError) -> None:
        """Reject bytes that are not HTTP between responses; during one, cut the connection."""
        self._begun = None
        if self._current is not None:
            self.transport.abort()
            return
        body = error_body(error)
        head = f"HTTP/1.1 {error.status} Refused\r\ncontent-type: application/json\r\nconnection: close\r\n"
        self.transport.write(b"%scontent-length: %d\r\n\r\n%s" % (head.encode(), len(body), body))
        self.transport.close()

    # Requests: one after the other.

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        """Begin a request when the read that brought its head has been parsed: often it has brought the body, too."""
        self._fresh = False
        if self._stopping:
            cycle.keep_alive = False
        self._current = cycle
        self._deadline = math.inf
        if self._in_read:
            self._begun = cycle, app
            return
        shortcut = self.config.shortcut
        writer = ResponseWriter(self, cycle)
        if cycle.more_body or shortcut is None or not shortcut(writer):
            self.start_application(writer)

    def start_application(self, writer: ResponseWriter) -> None:
        """Run the ASGI application for a request that the shortcut did not take, or could not complete."""
        scope = cast("Scope", writer.cycle.scope)
        scope["extensions"] = {EXTENSION: writer}
        scope["state"][HEAD] = writer.request
        super()._start_asgi_task(writer.cycle, self.app)

    def on_response_complete(self) -> None:
        """Go on to the next request. uvicorn reads on even while pipelined requests wait, and so without bound."""
        self._forget_current()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            if not self.transport.is_closing():
                self._start_asgi_task(cycle, app)
        else:
            self._deadline = self.loop.time() + self.config.keep_alive
        if not self.pipeline and not self.transport.is_closing():
            self.flow.resume_reading()

    def _forget_current(self) -> None:
        """Keep nothing of an answered request while the connection is idle: with 5,000 of them that is 12 MB."""
        cycle, self._current = self._current, None
        if cycle is not None and cycle is self.cycle:
            self.scope = cycle.scope = None  # type: ignore[assignment]  # set again with the next head


def _describe_invalid(data: bytes, error: httptools.HttpParserError) -> str:
    if data.startswith(b"PRI * HTTP/2"):
        return "This is HTTP/2, and sparkd serves HTTP/1.1. Switch HTTP/2 off in the client or proxy."
    if data.startswith(b"\x16\x03"):
        return "This is TLS, and sparkd serves plain HTTP. Use http:// in the base URL, or a proxy that serves TLS."
    return f"This is not valid HTTP: {error}."
