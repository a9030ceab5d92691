"""An engine's answer on its way to the client, from inside the read that brought it."""

from __future__ import annotations

import asyncio
from typing import Protocol

from sparkd.errors import SparkdError
from sparkd.gateway.asgi import Message, Rest, Send, start
from sparkd.gateway.errors import Dialect, error_event
from sparkd.machine.http_connection import Flow
from sparkd.machine.http_headers import Headers

MOST_UNSENT = 256 * 1024
"""Bytes held for a client that reads slowly before its engine is held back, besides uvicorn's own 64 KiB."""


class Closable(Protocol):
    """What watches the client's leaving."""

    def close(self) -> None:
        """Watch no longer."""
        ...


class Answer:
    """The sink between an engine's connection and ASGI's `send`. `began`: the client has a status line.

    `extra` headers are sparkd's own; they stand instead of the engine's of the same names.
    """

    def __init__(self, send: Send, extra: Headers, watch: Closable, dialect: Dialect) -> None:
        self.began = False
        self._send = send
        self._extra = extra
        self._watch = watch
        self._dialect = dialect
        self._flow: Flow | None = None
        self._takes_events = False
        self._unsent: list[bytes] = []
        self._size = 0
        self._owed = False
        self._more = True
        self._catching_up: asyncio.Task[None] | None = None

    def head(self, status: int, headers: Headers, flow: Flow) -> None:
        """Send the status line and the headers."""
        self.began = True
        self._flow = flow
        kept = [header for header in headers if not _is_ours(header[0])]
        if status == 304:
            # uvicorn takes the length for a promise of bytes, which a 304 does not mean.
            kept = [header for header in kept if header[0] != b"content-length"]
        names = dict(kept)
        if names.get(b"content-type", b"").startswith(b"text/event-stream"):
            kept.append((b"x-accel-buffering", b"no"))  # or an nginx in front would hold events back
            self._takes_events = not names.keys() & {b"content-length", b"content-encoding"}
        kept += self._extra
        self._start({"type": "http.response.start", "status": status, "headers": kept})

    def body(self, data: bytes, *, more: bool) -> None:
        """Send a piece, or keep it while the one before waits for the client."""
        self._more = more
        if not more:
            self._flow = None  # the connection may soon be answering somebody else
        if self._catching_up is None:
            self._start(self._message(data))
            return
        if self._catching_up.done():
            self._catching_up.result()  # raises what stopped it
        self._owed = True
        self._unsent.append(data)
        self._size += len(data)
        if self._size > MOST_UNSENT and self._flow is not None:
            self._flow.pause()

    async def flushed(self) -> None:
        """Wait until everything has been handed to uvicorn."""
        if self._catching_up is not None:
            await self._catching_up

    async def break_off(self, error: SparkdError) -> None:
        """End an answer whose engine broke off: a stream of events with an error event.

        Any other answer is left incomplete, for which uvicorn closes the connection: the client notices that
        the body is short.
        """
        await self.flushed()
        if self._takes_events:
            self._more = False
            # The blank line ends an event that was cut in the middle.
            await self._send(self._message(b"\n\n" + error_event(error, self._dialect)))

    def close(self) -> None:
        """Stop sending."""
        if self._catching_up is not None:
            self._catching_up.cancel()

    def _message(self, data: bytes) -> Message:
        if not self._more:
            self._watch.close()
        return {"type": "http.response.body", "body": data, "more_body": self._more}

    def _start(self, message: Message) -> None:
        rest = start(self._send(message))
        if isinstance(rest, Rest):
            self._catching_up = asyncio.ensure_future(self._catch_up(rest))

    async def _catch_up(self, rest: Rest[None]) -> None:
        """Finish the piece that had to wait, then send in one piece what came meanwhile."""
        try:
            await rest
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
        self._catching_up = None


def _is_ours(name: bytes) -> bool:
    """Headers that sparkd answers for: browsers refuse an answer that has two Access-Control-Allow-Origin."""
    return name in (b"x-request-id", b"x-sparkd-rewrites") or name.startswith(b"access-control-")
