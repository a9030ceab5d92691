"""The client's side of one request: writes an engine's response from inside the read that brought it.

uvicorn's `send` is a coroutine, so it needs a task to wake up for each event. A `ResponseWriter` writes to the same
transport without one, keeps the state of uvicorn's request cycle true, and frames the body by RFC 9112.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from sparkd.errors import SparkdError
from sparkd.gateway.request_head import RequestHead
from sparkd.gateway.responses.errors import error_event
from sparkd.upstream.connection import Flow
from sparkd.upstream.headers import Headers

EXTENSION = "sparkd.response"
"""Key of `scope["extensions"]` under which an ASGI application finds the writer of its response."""

MAX_UNSENT = 256 * 1024
"""Bytes held for a client that reads slowly before its engine is paused, besides the 64 KiB of its transport."""

_FIXED = frozenset({b"content-length", b"content-encoding"})
"""Headers of a response that nothing can be added to."""

_OWN = frozenset(
    {
        *(b"x-request-id", b"x-sparkd-rewrites", b"x-sparkd-served-by"),
        *(b"clear-site-data", b"service-worker-allowed", b"strict-transport-security", b"refresh"),
    }
)
"""Headers that only sparkd sets, and those with which an engine could change how a browser treats this origin."""

_DATA = (b"application/json", b"text/event-stream", b"application/x-ndjson")
"""Types that no browser shows as a page."""

_SANDBOX = b"content-security-policy: sandbox; default-src 'none'\r\nx-content-type-options: nosniff\r\n"
"""The page of sparkd has the same origin, so nothing that an engine sends may run in a browser."""

_STREAMS = (b"text/event-stream", b"application/x-ndjson")
"""Types of streams whose last event or line may be an error."""

_ERROR_EVENTS = (b'\ndata: {"error"', b"\nevent: error", b"\nevent: response.failed", b'\n{"error"')
"""Error events, as vLLM sends them if it fails in the middle of a response. In texts, JSON has no line ends."""

_JOIN_BELOW = 16 * 1024
"""Bytes: a piece up to this long is written together with its framing; copying a longer one would cost more."""


class Observer(Protocol):
    """Follows what happens to the client while its request is being answered."""

    def client_disconnected(self) -> None:
        """The client has closed its connection."""
        ...

    def client_writable(self) -> None:
        """The client has read what was sent; more may be written."""
        ...


class Client(Protocol):
    """What a writer needs of its connection."""

    transport: asyncio.Transport
    flow: FlowControl
    observer: Observer | None

    def start_application(self, writer: ResponseWriter) -> None:
        """Run the ASGI application for the writer's request."""
        ...


class ResponseWriter:
    """Writes the response to `request`.

    `started`: the client has got a status line; `status` is the engine's, 0 before that. `complete`: everything has
    been written. `extra` headers are sparkd's own; they replace the engine's of the same names.
    """

    started = False
    status = 0
    _head = b""
    _chunked = False
    _without_body = False
    _takes_events = False
    _is_fixed = False
    _ended = False
    _last = _second_last = b""
    complete = False
    _flow: Flow | None = None
    _flushed: asyncio.Future[None] | None = None

    def __init__(self, client: Client, cycle: RequestResponseCycle) -> None:
        self.client = client
        self.cycle = cycle
        self.request = RequestHead(cycle.scope)
        self.extra: Headers = []
        self._unsent: list[bytes] = []
        self._unsent_size = 0

    # From the engine ------------------------------------------------------------------------------------------

    def head(self, status: int, headers: Headers, flow: Flow | None) -> None:
        """Take status and headers; they are written with the first piece of the body.

        `flow` is None if sparkd writes the body itself.
        """
        cycle = self.cycle
        self.started = cycle.response_started = True
        cycle.waiting_for_100_continue = False
        self.status = status
        self._flow = flow
        lines = [STATUS_LINE[status]]
        has_length = is_data = False
        for name, value in headers:
            if name == b"content-type":
                is_data = value.startswith(_DATA)
                if value.startswith(_STREAMS):
                    self._takes_events = True
                    # Otherwise an nginx in front would hold events back.
                    lines.append(b"x-accel-buffering: no\r\n")
            elif name in _FIXED:
                self._is_fixed = True
                has_length = has_length or name == b"content-length"
            elif name in _OWN or name.startswith(b"access-control-"):
                continue  # browsers reject two Access-Control-Allow-Origin
            lines += (name, b": ", value, b"\r\n")
        if not is_data:
            lines.append(_SANDBOX)
        for name, value in self.extra:
            lines += (name, b": ", value, b"\r\n")
        lines.append(self._framing(status, has_length=has_length))
        self._head = b"".join(lines)

    @property
    def has_body(self) -> bool:
        """Whether anything of the body has been written."""
        return bool(self._last)

    @property
    def is_stream(self) -> bool:
        """Whether this is a stream of events that sparkd may add events to."""
        return self._takes_events and not self._is_fixed and self.status == 200

    def continue_with(self, status: int, flow: Flow) -> None:
        """Take the status of an engine whose body continues a response that sparkd has begun."""
        self.status = status
        self._flow = flow

    def _framing(self, status: int, *, has_length: bool) -> bytes:
        """The last lines of the head."""
        cycle = self.cycle
        framing = b""
        if cycle.scope["method"] == "HEAD" or status in (204, 304):
            self._without_body = True
        elif not has_length and cycle.scope["http_version"] == "1.1":
            self._chunked = True
            framing = b"transfer-encoding: chunked\r\n"
        elif not has_length:
            cycle.keep_alive = False  # HTTP/1.0 knows no chunks: the end of the connection ends the body
        return framing + (b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n")

    def body(self, data: bytes, *, more: bool) -> None:
        """Write a piece, or keep it while the client is slow."""
        if not more:
            self._flow = None  # the connection may soon carry another response
        if data:
            self._second_last, self._last = self._last, data
        if not self.client.flow.write_paused:
            self._write(data, more=more)
            return
        self._ended = not more
        self._unsent.append(data)
        self._unsent_size += len(data)
        if self._unsent_size > MAX_UNSENT and self._flow is not None:
            self._flow.pause()

    def _write(self, data: bytes, *, more: bool) -> None:
        head, self._head = self._head, b""
        if self._chunked:
            before = b"%b%x\r\n" % (head, len(data)) if data else head
            after = (b"\r\n" if data else b"") if more else (b"\r\n0\r\n\r\n" if data else b"0\r\n\r\n")
        else:
            before, after = head, b""
            if self._without_body:
                data = b""
        if len(data) < _JOIN_BELOW:
            self.client.transport.write(b"%b%b%b" % (before, data, after))
        else:
            self.client.transport.writelines((before, data, after))
        if not more:
            self.complete = True

    @property
    def outcome(self) -> int:
        """The status of a complete response; 500 for an event stream that ended with an error."""
        if self.status >= 400:
            return self.status
        end = self._second_last + self._last if self._takes_events else b""
        if (b"error" in end or b"failed" in end) and any(event in b"\n" + end for event in _ERROR_EVENTS):
            return 500
        return self.status

    # To the client --------------------------------------------------------------------------------------------

    @property
    def is_blocked(self) -> bool:
        """Whether nothing can be written now: the client has to read first, or has just left."""
        return self.client.flow.write_paused or self.client.transport.is_closing()

    def flush(self) -> None:
        """Write what was kept for a slow client, in one piece, and let the engine continue."""
        if not self._unsent:
            return
        data = self._take_unsent()
        if self._flow is not None:
            self._flow.resume()
        self._write(data, more=not self._ended)
        if self._flushed is not None and not self._flushed.done():
            self._flushed.set_result(None)

    async def flushed(self) -> None:
        """Wait until the client has taken a response that has come in full."""
        if not self.complete:
            self._flushed = asyncio.get_running_loop().create_future()
            await self._flushed

    def break_off(self, error: SparkdError) -> None:
        """End a response whose engine broke off: an event stream with an error event.

        Any other response ends early and its connection is closed, so the client notices that the body is incomplete.
        """
        if self._takes_events and not self._is_fixed:
            self.end_with(error_event(error, self.request.dialect, self.request.identify()))
        else:
            self._write(self._take_unsent(), more=True)

    def end_with(self, data: bytes) -> None:
        """Write the last piece of a body now, after what was kept for a slow client."""
        self._write(self._take_unsent() + data, more=False)

    def _take_unsent(self) -> bytes:
        data = b"".join(self._unsent)
        self._unsent.clear()
        self._unsent_size = 0
        return data

    def end(self) -> None:
        """Let the connection go on to its next request, or close where this response cannot be followed by another."""
        cycle = self.cycle
        cycle.response_complete = True
        cycle.message_event.set()  # wakes a task that still reads the request's body
        if not (cycle.keep_alive and self.complete):
            self.client.transport.close()
        cycle.on_response()
