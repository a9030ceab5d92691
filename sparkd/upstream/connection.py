"""One connection to an engine: HTTP/1.1 from the client's side, one exchange at a time.

The answer is handed to its sink from inside the read that brought it, one piece per read: no task wakes up
per chunk. What was decided about the corners of HTTP:

- 1xx is swallowed (the client's `Expect` has been answered already); 101 is an error, as nobody asked for an upgrade.
- HEAD, 204 and 304 end with their head. A connection that answered HEAD is not used again: the parser would
  go on to look for the body that the head announces.
- A body without length or chunks ends when the engine closes.
- Trailers are dropped, and so are hop-by-hop headers; any transfer coding but `chunked` is an error.
- An answer that ends before the request was sent in full is passed on; the connection is then closed.
- Bytes that nobody asked for close the connection.
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
"""Bytes: a body up to this long is sent in one piece with its head; a longer one isn't worth the copy."""


class Flow(Protocol):
    """What a sink holds back an engine with."""

    def pause(self) -> None:
        """Read no more until `resume`; what was read already still comes."""
        ...

    def resume(self) -> None:
        """Read on."""
        ...


class Sink(Protocol):
    """Who takes an answer. Called from within a read, so it must not wait; what it raises ends the exchange."""

    def head(self, status: int, headers: Headers, flow: Flow) -> None:
        """Take status and headers, hop-by-hop ones removed, names in lower case. Called once, first."""
        ...

    def body(self, data: bytes, *, more: bool) -> None:
        """Take a piece of the body. The last has `more` False.

        A piece may be empty: each read that brought anything calls this once, also one that brought the head alone.
        """
        ...


class StaleConnection(UpstreamError):
    """A connection used before ended without a byte of an answer: the engine had closed it meanwhile."""


class Connection(asyncio.Protocol):
    """A connection to an engine. `when_lost` is told once, when it is gone."""

    def __init__(self, loop: asyncio.AbstractEventLoop, when_lost: Callable[[Connection], None]) -> None:
        self.idle_since = 0.0
        self._loop = loop
        self._when_lost = when_lost
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport
        self._writable: asyncio.Future[None] | None = None
        self._paused = False
        self._exchanges = 0
        self._on_end: Callable[[Exception | None], None] | None = None
        self._sink: Sink | None = None
        self._reusable = False
        self._forget()

    def _forget(self) -> None:
        """Be ready for the next answer."""
        self._heard = False  # any byte of the answer
        self._told = False  # the sink has the head
        self._complete = False
        self._until_close = False
        self._status = 0
        self._headers: Headers = []
        self._pieces: list[bytes] = []

    # What the pool asks for

    @property
    def reusable(self) -> bool:
        """Whether another exchange may follow the last one."""
        return self._reusable and not self._transport.is_closing()

    def exchange(
        self, head: bytes, body: bytes | bytearray, sink: Sink, on_end: Callable[[Exception | None], None]
    ) -> None:
        """Send a request, hand its answer to `sink`, then call `on_end` with None or with what went wrong.

        That is an UpstreamError, or what the sink raised; StaleConnection where asking again on a new connection is
        safe. Nothing is called after `abort`.
        """
        self._begin(head, sink, on_end)
        if len(body) < _JOIN_BELOW:
            self._transport.write(head + body)
        else:
            self._transport.writelines((head, body))

    async def upload(self, head: bytes, body: AsyncIterator[bytes], chunked: bool, sink: Sink) -> None:
        """Send a body as it comes. Raises UpstreamError and what the body raises; aborts when cancelled."""
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
                self.abort()  # an early answer: the next request would be read as the rest of this one
        except BaseException:
            self.abort()
            raise
        finally:
            sending.cancel()

    def abort(self) -> None:
        """Close at once, whatever is under way: the engine sees that its client has left."""
        self._reusable = False
        self._sink = self._on_end = None
        self._transport.abort()

    def fail(self, error: Exception) -> None:
        """End the exchange under way with `error`."""
        self._end(error)

    def _begin(self, head: bytes, sink: Sink, on_end: Callable[[Exception | None], None]) -> None:
        self._forget()
        self._sink = sink
        self._on_end = on_end
        self._reusable = False
        self._exchanges += 1
        self._to_head = head.startswith(b"HEAD ")

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

    # Flow

    def pause(self) -> None:
        """Read no more until `resume`."""
        if not self._paused and not self._complete:
            self._paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self._paused:
            self._paused = False
            if not self._transport.is_closing():
                self._transport.resume_reading()

    # What the transport tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def pause_writing(self) -> None:
        """Let an upload wait."""
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        """Let it go on."""
        if self._writable is not None:
            self._writable.set_result(None)
            self._writable = None

    def connection_lost(self, error: Exception | None) -> None:
        """End what is under way: well, where the answer was to end here; badly otherwise."""
        self._reusable = False
        sink = self._sink
        if sink is not None and self._until_close and error is None:
            self._complete = True
            self._deliver(sink)
        elif sink is not None:
            self.fail(self._broken())
        self.resume_writing()
        self._when_lost(self)
        del self._parser  # it knows us: a circle that only the garbage collector would find

    def data_received(self, data: bytes) -> None:
        """Parse, then hand on what this read brought as one piece."""
        sink = self._sink
        if sink is None:
            self.abort()
            return
        self._heard = True
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._reusable = False
            if not self._complete:
                self.fail(_not_http(error))
                return
        self._deliver(sink)

    def _deliver(self, sink: Sink) -> None:
        try:
            if not self._told:
                if not self._status:
                    return
                self._told = True
                sink.head(self._status, self._headers, self)
            pieces = self._pieces
            data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            pieces.clear()
            if self._complete:
                self.resume()
                self._sink = None
            sink.body(data, more=not self._complete)
        except Exception as error:  # noqa: BLE001  # what a sink raises belongs to the caller of the exchange
            self._end(error)
            return
        if self._complete:
            self._end(None)

    def _broken(self) -> UpstreamError:
        if not self._heard and self._exchanges > 1:
            return StaleConnection("the engine closed the connection before it answered")
        if not self._told:
            return UpstreamError("the engine broke off before it answered")
        return UpstreamError("the engine broke off in the middle of its answer")

    # What the parser tells

    def on_message_begin(self) -> None:
        """Refuse a second answer to one request."""
        if self._complete:
            raise UpstreamError("the engine answered twice")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; trailers come here too and are dropped."""
        if not self._status:
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Decide what follows the head."""
        status = self._parser.get_status_code()
        if status == 101:
            raise UpstreamError("the engine switched protocols, which nobody asked for")
        if 100 <= status < 200:
            self._headers = []
            return
        if not 200 <= status < 600:
            raise UpstreamError(f"the engine answered with status {status}")
        self._status = status
        self._headers, framed = end_to_end(self._headers)
        if self._to_head:
            self._complete = True
        elif not framed and status not in (204, 304):
            self._until_close = True

    def on_body(self, data: bytes) -> None:
        """Collect a piece: one read may bring many chunks."""
        if not self._complete:
            self._pieces.append(data)

    def on_message_complete(self) -> None:
        """End the answer, unless it was a 1xx."""
        if self._status and not self._complete:
            self._complete = True
            self._reusable = self._parser.should_keep_alive()


def set_outcome(ended: asyncio.Future[None], error: Exception | None) -> None:
    """End a future as an exchange has ended, for callers that await one."""
    if ended.done():
        return
    if error is None:
        ended.set_result(None)
    else:
        ended.set_exception(error)


def _not_http(error: Exception) -> UpstreamError:
    """What was wrong with an answer: our own word for it, raised inside the parser, or the parser's."""
    if isinstance(error.__context__, UpstreamError):
        return error.__context__
    return UpstreamError(f"the engine's answer is not HTTP: {error}")
