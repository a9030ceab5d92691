"""uvicorn's connection to a client, with bounds that it lacks.

- A head must come within 30 seconds and stay below some 64 KiB; uvicorn's parser would collect for ever.
- `Connection: Upgrade` is ignored, as RFC 9110 7.8 allows. The parser takes what follows such a head for another
  protocol, so uvicorn loses the body: that of every POST from Java's HttpClient, which offers h2c each time.
- Bytes that are not HTTP are answered between answers, never in the middle of one.

Ties us to uvicorn's `HttpToolsProtocol` (read from 0.35 to 0.54): `parser`, `cycle`, `url`, `headers`, `transport`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from sparkd.errors import HeadTooLarge, InvalidRequest, RequestError
from sparkd.gateway.client_transport import ClientTransport
from sparkd.gateway.errors import error_body

LONGEST_HEAD = 64 * 1024
"""Bytes of request line and headers, besides those of the first read."""

HEAD_TIMEOUT = 30.0
"""Seconds from connecting, or from the first byte of a head, to its end."""


class ClientConnection(HttpToolsProtocol):
    """A connection from a client. `when_lost` is called when it is gone."""

    def __init__(
        self, config: uvicorn.Config, state: ServerState, head_timeout: float, when_lost: Callable[[], None]
    ) -> None:
        super().__init__(config, state, {}, asyncio.get_running_loop())
        self._timeout = head_timeout
        self._when_lost = when_lost
        self._in_head = False
        self._head_size = 0
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a first head, not for ever."""
        super().connection_made(cast("asyncio.Transport", ClientTransport(transport, self.loop)))
        self._head_timer = self.loop.call_later(self._timeout, self._give_up)

    def connection_lost(self, error: Exception | None) -> None:
        """Tell whoever waits for the last one to go."""
        self._disarm()
        super().connection_lost(error)
        self._when_lost()

    def data_received(self, data: bytes) -> None:
        """Parse; most of a request's life begins in `on_headers_complete`."""
        self._unset_keepalive_if_required()
        if self._in_head:
            self._head_size += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._refuse(InvalidRequest(f"This is not HTTP: {error}."))
        except httptools.HttpParserUpgrade as upgrade:
            self._ignore_upgrade(data[upgrade.args[0] :])
        else:
            if self._in_head and self._head_size > LONGEST_HEAD:
                self._refuse(HeadTooLarge(f"The request's head is longer than {LONGEST_HEAD} bytes."))
            elif self._head_timer is None and not self._is_answering():
                self._head_timer = self.loop.call_later(self._timeout, self._give_up)

    def on_message_begin(self) -> None:
        """Begin to count."""
        self._in_head = True
        self._head_size = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Start the request, unless the parser means to stop behind its head."""
        self._in_head = False
        self._disarm()
        if not self.parser.should_upgrade():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """End the request's body, unless its request has not been started."""
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def _ignore_upgrade(self, rest: bytes) -> None:
        """Parse the head once more without its `Connection`, and then what follows it."""
        method = self.parser.get_method()
        if method == b"CONNECT":
            self._refuse(InvalidRequest("This is not a proxy for CONNECT."))
            return
        lines = [method, b" ", self.url, b" HTTP/1.1\r\n"]
        for name, value in self.headers:
            if name != b"connection":
                lines += [name, b": ", value, b"\r\n"]
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(b"".join((*lines, b"\r\n", rest)))

    def _is_answering(self) -> bool:
        # uvicorn types it as always there; before the first request it is None.
        return self.cycle is not None and not self.cycle.response_complete  # type: ignore[redundant-expr]

    def _refuse(self, error: RequestError) -> None:
        if self._is_answering():
            self.transport.abort()
            return
        body = error_body(error)
        head = f"HTTP/1.1 {error.status} Refused\r\ncontent-type: application/json\r\nconnection: close\r\n"
        self.transport.write(b"%scontent-length: %d\r\n\r\n%s" % (head.encode(), len(body), body))
        self.transport.close()

    def _give_up(self) -> None:
        self._head_timer = None
        self.transport.close()

    def _disarm(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
