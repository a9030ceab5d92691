"""Captured requests: what clients have sent, in memory for minutes. Only on the control socket.

POST   /captures        {"client" | "model", "minutes"}: begins, and forgets what was captured before
GET    /captures        whose requests are captured until when, and the captured ones without their bodies
GET    /captures/{id}   one with its bodies
DELETE /captures        ends, and forgets everything
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sparkd.catalog import Catalogue
from sparkd.catalog.nearest import did_you_mean
from sparkd.control.convertors import register_convertors
from sparkd.control.live.state import Notice
from sparkd.control.viewer import viewer_of
from sparkd.errors import AccessDenied, CaptureNotFound, InvalidRequest
from sparkd.gateway.capturing.captures import Captures
from sparkd.usage.captured import CapturedRequest, CaptureList, CaptureOrder, CaptureRow
from sparkd.usage.records import ANONYMOUS


def capture_routes(
    captures: Captures, catalogue: Callable[[], Catalogue], key_names: Callable[[], frozenset[str]]
) -> list[BaseRoute]:
    """The routes of captures."""
    endpoints = _Endpoints(captures, catalogue, key_names)
    register_convertors()
    return [
        Route("/captures", endpoints.list_requests, methods=["GET"]),
        Route("/captures", endpoints.begin, methods=["POST"]),
        Route("/captures", endpoints.forget, methods=["DELETE"]),
        Route("/captures/{id:number}", endpoints.show, methods=["GET"]),
    ]


def capture_notices(captures: Captures) -> tuple[Notice, ...]:
    """The notice that requests are captured, for every view of the page."""
    rule = captures.rule
    if rule is None:
        return ()
    until = time.strftime("%H:%M", time.localtime(rule.until))
    text = f"Until {until}, sparkd keeps what {rule.subject} contain, in memory. To end that: sparkctl capture --end."
    return (Notice(level="bad", text=text, model=rule.model),)


class _Endpoints:
    def __init__(
        self,
        captures: Captures,
        catalogue: Callable[[], Catalogue],
        key_names: Callable[[], frozenset[str]],
    ) -> None:
        self._captures = captures
        self._catalogue = catalogue
        self._key_names = key_names

    async def list_requests(self, request: Request) -> Response:
        _require_owner(request)
        return self._respond_with_list()

    async def begin(self, request: Request) -> Response:
        _require_owner(request)
        try:
            order = msgspec.json.decode(await request.body(), type=CaptureOrder)
        except msgspec.DecodeError as error:
            raise InvalidRequest(f"The body does not say what to capture: {error}.") from None
        if (order.client is None) == (order.model is None):
            raise InvalidRequest("Name one client or one model: the requests of others are not captured.")
        model = None if order.model is None else self._catalogue().find(order.model).id
        if order.client is not None:
            self._check_client(order.client)
        self._captures.begin(order.minutes * 60, client=order.client, model=model)
        return self._respond_with_list()

    async def forget(self, request: Request) -> Response:
        _require_owner(request)
        self._captures.forget()
        return self._respond_with_list()

    async def show(self, request: Request) -> Response:
        _require_owner(request)
        number = request.path_params["id"]
        found = self._captures.find(number)
        if found is None:
            raise CaptureNotFound(
                f"There is no captured request {number}. Only the newest are kept; `sparkctl capture` lists them."
            )
        return _respond(found)

    def _check_client(self, name: str) -> None:
        known = {*self._key_names(), *(rule.name for rule in self._catalogue().clients), ANONYMOUS}
        if name not in known:
            raise InvalidRequest(
                f'There is no client "{name}"{did_you_mean(name, known)}. Name an API key, a table '
                f"`[clients.<name>]`, or {ANONYMOUS} for clients without a key.",
                param="client",
            )

    def _respond_with_list(self) -> Response:
        rows = [_make_row(each) for each in self._captures.finished]
        return _respond(CaptureList(self._captures.rule, rows, self._captures.size))


def _require_owner(request: Request) -> None:
    if not viewer_of(request.scope).rights.control:
        raise AccessDenied("Only the owner of sparkd may see what clients have sent.")


def _make_row(captured: CapturedRequest) -> CaptureRow:
    sizes = {
        name: None if body is None else body.size
        for name, body in (
            ("received", captured.received),
            ("sent", captured.sent),
            ("response", captured.response),
        )
    }
    return CaptureRow(
        id=captured.id,
        ended=captured.ended,
        request=captured.request,
        model=captured.model,
        client=captured.client,
        program=captured.program,
        endpoint=captured.endpoint,
        status=captured.status,
        code=captured.code,
        seconds=captured.seconds,
        **sizes,
    )


def _respond(value: Any) -> Response:
    headers = {"cache-control": "no-store"}
    return Response(msgspec.json.encode(value), media_type="application/json", headers=headers)
