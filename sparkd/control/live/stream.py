"""`GET /events`: the live state, then what changes."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from sparkd.control.live.changes import RETRY
from sparkd.control.live.hub import Listener, LiveHub
from sparkd.control.viewer import viewer_of
from sparkd.gateway.connections.disconnect import run_while_connected
from sparkd.gateway.preparation.body import ClientDisconnected
from sparkd.gateway.responses.response_writer import EXTENSION, ResponseWriter

END_GRACE: Final = 1.0
"""Seconds for a client to read the end of its stream."""

_HEADERS: Final = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # nginx would hold events back
]


def event_routes(hub: LiveHub) -> list[BaseRoute]:
    """The route of the event stream."""
    return [Route("/events", _EventStream(hub), methods=["GET"])]


class _EventStream:
    """An ASGI endpoint: Starlette's StreamingResponse does not see a client that has left before the first event."""

    def __init__(self, hub: LiveHub) -> None:
        self._hub = hub

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        if scope["method"] == "HEAD":
            await send({"type": "http.response.body", "body": b""})
            return
        listener = await self._hub.listen(viewer_of(scope))
        try:
            with suppress(ClientDisconnected):
                await run_while_connected(receive, _send_until_ended(listener, send))
                await send({"type": "http.response.body", "body": b""})
        except TimeoutError:
            _cut(scope)
        finally:
            self._hub.leave(listener)


async def _send_until_ended(listener: Listener, send: Send) -> None:
    """Send until the listener ends. Raises TimeoutError if the client does not read the rest then: a page that is
    suspended must not delay the end or the replacement of the daemon."""
    sending = asyncio.create_task(_send_events(listener, send), name="events")
    ended = asyncio.create_task(listener.ended.wait(), name="end of events")
    try:
        await asyncio.wait({sending, ended}, return_when=asyncio.FIRST_COMPLETED)
        async with asyncio.timeout(END_GRACE):
            await sending
    finally:
        for task in (sending, ended):
            task.cancel()
        await asyncio.wait({sending, ended})


async def _send_events(listener: Listener, send: Send) -> None:
    """Send until the listener ends. Waits for a client that does not read; meanwhile its listener keeps little."""
    body: bytes | None = b"retry: %d\n\n" % RETRY
    while body is not None:
        await send({"type": "http.response.body", "body": body, "more_body": True})
        body = await listener.next()


def _cut(scope: Scope) -> None:
    """Close the connection without waiting for the client to read."""
    writer: ResponseWriter | None = scope.get("extensions", {}).get(EXTENSION)
    if writer is not None:
        writer.client.transport.abort()
