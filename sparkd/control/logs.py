"""A process's log as an HTTP response: its last lines, and new ones as they arrive."""

from __future__ import annotations

from contextlib import aclosing

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from sparkd.control.interfaces import SupervisorInterface
from sparkd.errors import InvalidRequest, LogNotFound
from sparkd.gateway.connections.disconnect import run_while_connected
from sparkd.gateway.preparation.body import ClientDisconnected
from sparkd.processes.log import Log

DEFAULT_LINES = 200
LONGEST_NUMBER = 18
"""Digits."""

HEADERS = [(b"content-type", b"text/plain; charset=utf-8")]
BOOLEANS = {"1": True, "true": True, "0": False, "false": False}


def parse_log_query(query: QueryParams) -> tuple[int, bool]:
    """`lines` and `follow` of a query; raises InvalidRequest for an invalid one."""
    lines, follow = query.get("lines", str(DEFAULT_LINES)), query.get("follow", "0")
    if not (lines.isascii() and lines.isdigit() and len(lines) <= LONGEST_NUMBER):
        raise InvalidRequest(f"lines is {lines[:60]!r}; expected a whole number, 0 or more", param="lines")
    if follow not in BOOLEANS:
        raise InvalidRequest(f"follow is {follow!r}; expected 1 or 0", param="follow")
    return int(lines), BOOLEANS[follow]


class LogEndpoint:
    """The ASGI endpoint of a model's log: its last lines, and with `follow` each new one.

    Following ends with the process, or when the client disconnects. Starlette's StreamingResponse cannot do this: if
    the client disconnects before the first line, it never closes its generator, and the log would keep that follower.
    """

    def __init__(self, supervisor: SupervisorInterface) -> None:
        self._supervisor = supervisor

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response. Raises RequestError before the first byte."""
        request = Request(scope)
        lines, follow = parse_log_query(request.query_params)
        model = self._supervisor.catalogue.find(request.path_params["model"])
        log = self._supervisor.log(model)
        if log is None:
            raise LogNotFound(f'model "{model.id}" has not run since sparkd started, so it has no log')
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        if follow:
            try:
                await run_while_connected(receive, _stream_lines(send, log, lines))
            except ClientDisconnected:
                return
        else:
            await _send_lines(send, log.tail(lines))
        await send({"type": "http.response.body", "body": b""})


async def _stream_lines(send: Send, log: Log, lines: int) -> None:
    async with aclosing(log.follow(lines)) as new_lines:
        async for line in new_lines:
            await _send_lines(send, [line])


async def _send_lines(send: Send, lines: list[str]) -> None:
    body = "".join(f"{line}\n" for line in lines).encode(errors="replace")
    await send({"type": "http.response.body", "body": body, "more_body": True})
