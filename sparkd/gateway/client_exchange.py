"""One request of a client and its answer: ASGI's `receive` and `send`, and HTTP/1.1's framing (RFC 9112)."""

from __future__ import annotations

import asyncio
import http
from collections.abc import Awaitable
from typing import Protocol

from sparkd.gateway.asgi import DONE, Message, Ready, Scope
from sparkd.upstream.headers import Headers

MOST_UNREAD = 64 * 1024
"""Bytes of a body that are held before its client is held back."""

_JOIN_BELOW = 16 * 1024
"""Bytes: a piece up to this long is sent in one write with what goes before it; a longer one isn't worth the copy."""

_PHRASES = {status.value: status.phrase for status in http.HTTPStatus}
_LINES = {status: f"HTTP/1.1 {status} {_PHRASES.get(status, '')}\r\n".encode() for status in range(200, 600)}


class Wire(Protocol):
    """What an exchange asks of its connection."""

    def write(self, data: bytes) -> Awaitable[None]:
        """Send; await what is returned before sending more."""
        ...

    def write_all(self, pieces: tuple[bytes, ...]) -> Awaitable[None]:
        """Send pieces that are too large to be joined."""
        ...

    def hold_back(self) -> None:
        """Read no more from the client."""
        ...

    def read_on(self) -> None:
        """Read on."""
        ...

    def answered(self, *, keep: bool) -> None:
        """Go on to the next request, or close."""
        ...


class ClientExchange:
    """What happens between a request's head and its answer's last byte."""

    def __init__(
        self, wire: Wire, loop: asyncio.AbstractEventLoop, scope: Scope, *, keep: bool, expects: bool
    ) -> None:
        self.scope = scope
        self.began = False
        self.complete = False
        self.keep = keep
        self._wire = wire
        self._loop = loop
        self._expects_continue = expects
        self._gone = False
        self._pieces: list[bytes] = []
        self._held = 0
        self._more = True
        self._given = False
        self._waiting: asyncio.Future[None] | None = None
        self._head = b""
        self._chunked = False
        self._left = 0

    # The request's body, from the connection to the application

    def feed(self, data: bytes) -> None:
        """Take a piece of the body."""
        if self.complete:
            return
        self._pieces.append(data)
        self._held += len(data)
        if self._held > MOST_UNREAD:
            self._wire.hold_back()
        self._wake()

    def end(self) -> None:
        """The body is whole."""
        self._more = False
        self._wake()

    def leave(self) -> None:
        """The client has gone."""
        self._gone = True
        self._wake()

    def receive(self) -> Awaitable[Message]:
        """ASGI's `receive`: the body as far as it has come; then, when it happens, that the client has left."""
        if self._has_news():
            return Ready(self._news())
        return self._receive_later()

    async def _receive_later(self) -> Message:
        if self._expects_continue and not self.began:
            self._wire.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._expects_continue = False
        self._wire.read_on()
        while not self._has_news():
            self._waiting = self._loop.create_future()
            await self._waiting
        return self._news()

    def _has_news(self) -> bool:
        return bool(self._pieces) or not (self._more or self._given) or self._gone or self.complete

    def _news(self) -> Message:
        if self._gone or self.complete:
            return {"type": "http.disconnect"}
        body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces = []
        self._held = 0
        self._given = not self._more
        return {"type": "http.request", "body": body, "more_body": self._more}

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    # The answer, from the application to the connection

    def send(self, message: Message) -> Awaitable[None]:
        """ASGI's `send`; nothing is sent to a client that left. Raises ValueError on what HTTP cannot carry."""
        if self._gone:
            return DONE
        if message["type"] == "http.response.start" and not self.began:
            self._start(message["status"], message.get("headers", []))
            return DONE
        if message["type"] != "http.response.body" or not self.began or self.complete:
            raise ValueError(f"{message['type']} out of turn")
        return self._send_body(message.get("body", b""), more=message.get("more_body", False))

    def _start(self, status: int, headers: Headers) -> None:
        lines = [_LINES[status]]
        breaks = len(headers) + 2
        length: int | None = None
        for name, value in headers:
            if name == b"content-length":
                length = int(value)
            elif name == b"connection" and b"close" in value.lower():
                self.keep = False
            lines += (name, b": ", value, b"\r\n")
        if self.scope["method"] == "HEAD" or status in (204, 304):
            self._left = -1
        elif length is not None:
            self._left = length
        elif self.scope["http_version"] == "1.1":
            self._chunked = True
            breaks += 1
            lines.append(b"transfer-encoding: chunked\r\n")
        else:
            self.keep, self._left = False, -2
        if not self.keep:
            breaks += 1
            lines.append(b"connection: close\r\n")
        lines.append(b"\r\n")
        head = b"".join(lines)
        if head.count(b"\n") != breaks:
            raise ValueError("a header with a line break in it")
        self.began = True
        self._head = head
        self._loop.call_soon(self._flush)

    def _send_body(self, data: bytes, *, more: bool) -> Awaitable[None]:
        head, self._head = self._head, b""
        if self._chunked:
            before = head + b"%x\r\n" % len(data) if data else head
            after = (b"\r\n" if data else b"") + (b"" if more else b"0\r\n\r\n")
        else:
            before, after = head, b""
            data = self._counted(data, more=more)
        if len(data) < _JOIN_BELOW:
            sent = self._wire.write(before + data + after)
        else:
            sent = self._wire.write_all((before, data, after))
        if not more:
            self.complete = True
            self._wake()
            self._wire.answered(keep=self.keep)
        return sent

    def _counted(self, data: bytes, *, more: bool) -> bytes:
        """The part of a body that is not chunked which may be sent: none to HEAD. Raises ValueError."""
        if self._left == -1:
            return b""
        if self._left >= 0:
            self._left -= len(data)
            if self._left < 0 or (self._left and not more):
                raise ValueError("the body is not as long as its content-length")
        return data

    def _flush(self) -> None:
        """Send a head that nothing has followed in the same turn of the loop."""
        if self._head and not self._gone:
            head, self._head = self._head, b""
            self._wire.write(head)
