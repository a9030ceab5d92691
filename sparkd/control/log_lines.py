"""The daemon's own lines over HTTP, as JSON lines.

    GET /log?lines=&follow=&level=&event=&model=&request=

`level` is the lowest. With `follow`, the response ends when the client disconnects.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import Final

import msgspec
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from sparkd.catalog.nearest import did_you_mean
from sparkd.control.logs import parse_log_query
from sparkd.errors import InvalidRequest
from sparkd.gateway.connections.disconnect import run_while_connected
from sparkd.gateway.preparation.body import ClientDisconnected
from sparkd.journal.lines import LEVELS, LineFilter, LogLine
from sparkd.journal.recent import RecentLines

HEADERS: Final = [(b"content-type", b"application/x-ndjson"), (b"cache-control", b"no-store")]


def log_routes(recent: RecentLines) -> list[BaseRoute]:
    """The route of the daemon's own lines."""
    return [Route("/log", LogLinesEndpoint(recent), methods=["GET"])]


def parse_line_filter(query: QueryParams) -> LineFilter:
    """The filter of a query. Raises InvalidRequest for an unknown level."""
    level = query.get("level", "debug")
    if level not in LEVELS:
        nearest = did_you_mean(level, LEVELS) or ""
        raise InvalidRequest(f"level is {level!r}; expected {', '.join(LEVELS)}{nearest}", param="level")
    return LineFilter(
        level,
        query.get("event", ""),
        query.get("model", ""),
        query.get("request", ""),
    )


class LogLinesEndpoint:
    """The ASGI endpoint. See `sparkd.control.logs` for why it is not a StreamingResponse."""

    def __init__(self, recent: RecentLines) -> None:
        self._recent = recent

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the lines. Raises InvalidRequest before the first byte."""
        query = Request(scope).query_params
        lines, follow = parse_log_query(query)
        wanted = parse_line_filter(query)
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        if follow:
            # A browser's `fetch` resolves with the first byte, and there may be no line for hours.
            await _send(send, b"\n")
            try:
                await run_while_connected(receive, self._stream(send, lines, wanted))
            except ClientDisconnected:
                return
        else:
            await _send(send, b"".join(map(_encode, self._recent.tail(lines, wanted))))
        await send({"type": "http.response.body", "body": b""})

    async def _stream(self, send: Send, lines: int, wanted: LineFilter) -> None:
        async with aclosing(self._recent.follow(lines, wanted)) as found:
            async for line in found:
                await _send(send, _encode(line))


async def _send(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})


def _encode(line: LogLine) -> bytes:
    return msgspec.json.encode(line) + b"\n"
