"""An engine's answer on its way to the client, from inside the read that brought it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from sparkd.errors import SparkdError
from sparkd.gateway.asgi import DONE, Message, Send
from sparkd.gateway.errors import error_event
from sparkd.gateway.request import Request
from sparkd.upstream.connection import Flow
from sparkd.upstream.headers import Headers

_FIXED = frozenset({b"content-length", b"content-encoding"})
"""Headers of an answer that nothing can be added to."""

_OURS = frozenset({b"x-request-id", b"x-sparkd-rewrites"})
"""Headers that sparkd answers for."""

MOST_UNSENT = 256 * 1024
"""Bytes held for a client that reads slowly before its engine is held back, besides its connection's 64 KiB."""


class Answer:
    """The sink between an engine's connection and ASGI's `send`. `began`: the client has a status line.

    `request` is what is answered, `status` the engine's word, 0 before. `extra` headers are sparkd's own; they stand
    instead of the engine's of the same names. `catching_up` is the task that sends what a slow client could not take
    at once, while there is one.
    """

    began = False
    status = 0
    catching_up: asyncio.Task[None] | None = None
    _flow: Flow | None = None
    _takes_events = False
    _is_fixed = False
    _size = 0
    _owed = False
    _more = True

    def __init__(self, send: Send, request: Request) -> None:
        self._send = send
        self.request = request
        self.extra = request.own_headers()
        self._unsent: list[bytes] = []

    def head(self, status: int, headers: Headers, flow: Flow) -> None:
        """Send the status line and the headers."""
        self.began = True
        self.status = status
        self._flow = flow
        kept: Headers = []
        for header in headers:
            name, value = header
            if name == b"content-type" and value.startswith(b"text/event-stream"):
                self._takes_events = True
                kept.append((b"x-accel-buffering", b"no"))  # or an nginx in front would hold events back
            elif name in _FIXED:
                self._is_fixed = True
            elif name in _OURS or name.startswith(b"access-control-"):
                continue  # sparkd's own word counts; browsers refuse two Access-Control-Allow-Origin
            kept.append(header)
        kept += self.extra
        self._start({"type": "http.response.start", "status": status, "headers": kept})

    def body(self, data: bytes, *, more: bool) -> None:
        """Send a piece, or keep it while the one before waits for the client."""
        self._more = more
        if not more:
            self._flow = None  # the connection may soon be answering somebody else
        if self.catching_up is None:
            self._start(self._message(data))
            return
        if self.catching_up.done():
            self.catching_up.result()  # raises what stopped it
        self._owed = True
        self._unsent.append(data)
        self._size += len(data)
        if self._size > MOST_UNSENT and self._flow is not None:
            self._flow.pause()

    async def break_off(self, error: SparkdError) -> None:
        """End an answer whose engine broke off: a stream of events with an error event.

        Any other answer is left incomplete, for which its connection is closed: the client notices that
        the body is short.
        """
        if self.catching_up is not None:
            await self.catching_up
        if self._takes_events and not self._is_fixed:
            self._more = False
            # The blank line ends an event that was cut in the middle.
            await self._send(self._message(b"\n\n" + error_event(error, self.request.dialect)))

    def close(self) -> None:
        """Stop sending."""
        if self.catching_up is not None:
            self.catching_up.cancel()

    def _message(self, data: bytes) -> Message:
        return {"type": "http.response.body", "body": data, "more_body": self._more}

    def _start(self, message: Message) -> None:
        sent = self._send(message)
        if sent is not DONE:
            self.catching_up = asyncio.ensure_future(self._catch_up(sent))

    async def _catch_up(self, sent: Awaitable[None]) -> None:
        """Wait until the client has taken what was sent, then send in one piece what came meanwhile."""
        try:
            await sent
            while self._owed:
                data = b"".join(self._unsent)
                self._unsent.clear()
                self._size = 0
                self._owed = False
                if self._flow is not None:
                    self._flow.resume()
                await self._send(self._message(data))
        except BaseException:
            if self._flow is not None:
                self._flow.resume()  # the next piece meets the error
            raise
        self.catching_up = None
