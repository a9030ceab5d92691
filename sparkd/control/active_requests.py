"""The endpoints of requests in flight.

    GET    /requests/active        all of them, the oldest first
    DELETE /requests/active/{id}   cancels one; responds with what it did until then

`{id}` is a request's `x-request-id`. If a client has used it for several requests, all of these are cancelled.
"""

from __future__ import annotations

from typing import Protocol

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sparkd.usage.active import ActiveRequest


class RequestsInFlight(Protocol):
    """The gateway's requests."""

    def rows(self) -> list[ActiveRequest]:
        """What each one does now."""
        ...

    def cancel(self, request_id: str) -> list[ActiveRequest]:
        """Cancel those with this id; return what they did until now. Raises RequestNotFound."""
        ...


def active_request_routes(active: RequestsInFlight) -> list[BaseRoute]:
    """The routes of requests in flight."""

    async def all_rows(request: Request) -> Response:  # noqa: ARG001
        return _respond(active.rows())

    async def cancel(request: Request) -> Response:
        return _respond(active.cancel(request.path_params["id"]))

    return [
        Route("/requests/active", all_rows, methods=["GET"]),
        # `path`: an id that a client chose may contain a slash.
        Route("/requests/active/{id:path}", cancel, methods=["DELETE"]),
    ]


def _respond(rows: list[ActiveRequest]) -> Response:
    return Response(msgspec.json.encode(rows), media_type="application/json")
