"""One connection to an engine: the client side of HTTP/1.1, one exchange at a time.

The response is passed to its sink directly from the read that received it, one piece per read, so that no task has to
wake up per chunk. How special cases of HTTP are handled:

- 1xx responses are ignored (sparkd has already answered the client's `Expect`). 101 is an error, because sparkd never
  requests an upgrade.
- Responses to HEAD, and 204 and 304, end with their headers. A connection that answered HEAD is not used again: the
  parser would wait for the body that the headers announce.
- A body without length or chunks ends when the engine closes the connection.
- Trailers and hop-by-hop headers are dropped. Any transfer coding except `chunked` is an error.
- A response that ends before the request was sent completely is passed on; then the connection is closed.
- Bytes outside an exchange close the connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Protocol, cast

import httptools

from sparkd.errors import UpstreamError
from sparkd.upstream.headers import Headers, end_to_end

_JOIN_BELOW = 64 * 1024
"""Bytes. A shorter body is sent in one piece with its headers; copying a longer one costs more than it saves."""


class Flow(Protocol):
    """Lets a sink pause an engine's response."""

    def pause(self) -> None:
        """Stop reading until `resume`. Data that was already read is still delivered."""
        ...

    def resume(self) -> None:
        """Continue reading."""
        ...


class Sink(Protocol):
    """Receives a response. Called while reading, so it must not wait. An exception that it raises ends the exchange."""

    def head(self, status: int, headers: Headers, flow: Flow) -> None:
        """Receive status and headers, without hop-by-hop headers, names in lower case. Called once, first."""
        ...

    def body(self, data: bytes, *, more: bool) -> None:
        """Receive a piece of the body. The last one has `more` False.

        A piece may be empty: it is called once for each read that brought anything, even if that was the head alone.
        """
        ...


class StaleConnection(UpstreamError):
    """A connection that was used before ended without a byte of a response: the engine had closed it meanwhile."""


class EngineUnreachable(UpstreamError):
    """The engine accepts no connection, so nothing of the request was sent."""


class Connection(asyncio.Protocol):
    """A connection to an engine. Calls `on_lost` once, when the connection is closed."""

    def __init__(self, loop: asyncio.AbstractEventLoop, on_lost: Callable[[Connection], None]) -> None:
        self.idle_since = 0.0
        self._loop = loop
        self._on_lost = on_lost
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport
        self._writable: asyncio.Future[None] | None = None
        self._paused = False
        self._exchanges = 0
        self._on_end: Callable[[Exception | None], None] | None = None
        self._sink: Sink | None = None
        self._reusable = False
        self._reset()

    def _reset(self) -> None:
        """Prepare for the next response."""
        self._received_any = False  # any byte of the response
        self._head_delivered = False  # the sink has status and headers
        self._complete = False
        self._until_close = False
        self._status = 0
        self._headers: Headers = []
        self._pieces: list[bytes] = []

    # Called by the pool

    @property
    def reusable(self) -> bool:
        """Whether the connection can be used for another exchange."""
        return self._reusable and not self._transport.is_closing()

    def exchange(
        self, head: bytes, body: bytes | bytearray, sink: Sink, on_end: Callable[[Exception | None], None]
    ) -> None:
        """Send a request, pass its response to `sink`, then call `on_end` with None, or with the error.

        The error is an UpstreamError, or what the sink raised; StaleConnection if a retry on a new connection is safe.
        Nothing is called after `abort`.
        """
        self._begin(head, sink, on_end)
        if len(body) < _JOIN_BELOW:
            self._transport.write(head + body)
        else:
            self._transport.writelines((head, body))

    async def upload(self, head: bytes, body: AsyncIterator[bytes], chunked: bool, sink: Sink) -> None:
        """Send a body as its pieces arrive. Raises UpstreamError and the body's exceptions. Aborts if cancelled."""
        ended: asyncio.Future[None] = self._loop.create_future()
        self._begin(head, sink, partial(set_outcome, ended))
        self._transport.write(head)
        sending = asyncio.ensure_future(self._send(body, chunked))
        try:
            await asyncio.wait((ended, sending), return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                await sending
            await ended
            if not sending.done() or sending.cancelled() or sending.exception() is not None:
                self.abort()  # an early response: the engine would read the next request as the rest of this one
        except BaseException:
            self.abort()
            raise
        finally:
            sending.cancel()

    def abort(self) -> None:
        """Close the connection at once, even during an exchange. The engine sees that its client has disconnected."""
        self._reusable = False
        self._sink = self._on_end = None
        self._transport.abort()

    def fail(self, error: Exception) -> None:
        """End the current exchange with `error`."""
        self._end(error)

    def _begin(self, head: bytes, sink: Sink, on_end: Callable[[Exception | None], None]) -> None:
        self._reset()
        self._sink = sink
        self._on_end = on_end
        self._reusable = False
        self._exchanges += 1
        self._is_head_request = head.startswith(b"HEAD ")

    def _end(self, error: Exception | None) -> None:
        on_end, self._on_end, self._sink = self._on_end, None, None
        if on_end is not None:
            on_end(error)

    async def _send(self, body: AsyncIterator[bytes], chunked: bool) -> None:
        async for piece in body:
            self._transport.writelines((b"%x\r\n" % len(piece), piece, b"\r\n") if chunked else (piece,))
            if self._writable is not None:
                await self._writable
        if chunked:
            self._transport.write(b"0\r\n\r\n")

    # Flow control

    def pause(self) -> None:
        """Stop reading until `resume`."""
        if not self._paused and not self._complete:
            self._paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """Continue reading."""
        if self._paused:
            self._paused = False
            if not self._transport.is_closing():
                self._transport.resume_reading()

    # Called by the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def pause_writing(self) -> None:
        """Pause an upload."""
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        """Continue the upload."""
        if self._writable is not None:
            self._writable.set_result(None)
            self._writable = None

    def connection_lost(self, error: Exception | None) -> None:
        """End the current exchange: successfully if the response ends with the connection, otherwise with an error."""
        self._reusable = False
        sink = self._sink
        if sink is not None and self._until_close and error is None:
            self._complete = True
            self._deliver(sink)
        elif sink is not None:
            self.fail(self._disconnect_error())
        self.resume_writing()
        self._on_lost(self)
        del self._parser  # breaks a reference cycle that only the garbage collector would find

    def data_received(self, data: bytes) -> None:
        """Parse the data, then pass on its contents as one piece."""
        sink = self._sink
        if sink is None:
            self.abort()
            return
        self._received_any = True
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._reusable = False
            if not self._complete:
                self.fail(_invalid_response_error(error))
                return
        self._deliver(sink)

    def _deliver(self, sink: Sink) -> None:
        try:
            if not self._head_delivered:
                if not self._status:
                    return
                self._head_delivered = True
                sink.head(self._status, self._headers, self)
            pieces = self._pieces
            data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            pieces.clear()
            if self._complete:
                self.resume()
                self._sink = None
            sink.body(data, more=not self._complete)
        except Exception as error:  # noqa: BLE001  # a sink's exception belongs to the caller of the exchange
            self._end(error)
            return
        if self._complete:
            self._end(None)

    def _disconnect_error(self) -> UpstreamError:
        if not self._received_any and self._exchanges > 1:
            return StaleConnection("the engine closed the connection before it responded")
        if not self._head_delivered:
            return UpstreamError("the engine disconnected before it responded")
        return UpstreamError("the engine disconnected in the middle of its response")

    # Called by the parser

    def on_message_begin(self) -> None:
        """Reject a second response to one request."""
        if self._complete:
            raise UpstreamError("the engine sent two responses to one request")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header. Drop trailers, for which the parser calls this too."""
        if not self._status:
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Decide what follows the headers."""
        status = self._parser.get_status_code()
        if status == 101:
            raise UpstreamError("the engine switched protocols without being asked to")
        if 100 <= status < 200:
            self._headers = []
            return
        if not 200 <= status < 600:
            raise UpstreamError(f"the engine responded with the invalid status {status}")
        self._status = status
        self._headers, framed = end_to_end(self._headers)
        if self._is_head_request:
            self._complete = True
        elif not framed and status not in (204, 304):
            self._until_close = True

    def on_body(self, data: bytes) -> None:
        """Collect a piece: one read may contain many chunks."""
        if not self._complete:
            self._pieces.append(data)

    def on_message_complete(self) -> None:
        """End the response, unless it was a 1xx."""
        if self._status and not self._complete:
            self._complete = True
            self._reusable = self._parser.should_keep_alive()


def set_outcome(ended: asyncio.Future[None], error: Exception | None) -> None:
    """Complete a future with the outcome of an exchange, for callers that await one."""
    if ended.done():
        return
    if error is None:
        ended.set_result(None)
    else:
        ended.set_exception(error)


def _invalid_response_error(error: Exception) -> UpstreamError:
    """Return the error of an invalid response: our own, if a callback raised it inside the parser, or the parser's."""
    if isinstance(error.__context__, UpstreamError):
        return error.__context__
    return UpstreamError(f"the engine sent a response that is not valid HTTP: {error}")
