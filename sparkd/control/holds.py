"""The endpoints of holds."""

from __future__ import annotations

import time

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sparkd.control.interfaces import SupervisorInterface
from sparkd.errors import InvalidRequest
from sparkd.scheduling.hold import Hold, HoldRequest


def hold_routes(supervisor: SupervisorInterface) -> list[BaseRoute]:
    """The routes of holds."""
    endpoints = _Holds(supervisor)
    return [
        Route("/models/{model:path}/hold", endpoints.begin, methods=["POST"]),
        Route("/holds", endpoints.all),
        Route("/holds/{id}", endpoints.end, methods=["DELETE"]),
    ]


class _Holds:
    def __init__(self, supervisor: SupervisorInterface) -> None:
        self._supervisor = supervisor

    async def begin(self, request: Request) -> Response:
        try:
            asked = msgspec.json.decode(await request.body(), type=HoldRequest)
        except msgspec.DecodeError as error:
            raise InvalidRequest(f"The body is not a hold: {error}.") from None
        model = self._supervisor.catalogue.find(request.path_params["model"])
        hold = self._supervisor.holds.begin(
            model, asked.seconds, owner=asked.owner, job=asked.job, reason=asked.reason
        )
        return _respond(hold)

    async def all(self, request: Request) -> Response:  # noqa: ARG002
        now = time.monotonic()
        found = [hold.status(now) for hold in self._supervisor.holds.all()]
        return Response(msgspec.json.encode(found), media_type="application/json")

    async def end(self, request: Request) -> Response:
        return _respond(self._supervisor.holds.end(request.path_params["id"], "the operator"))


def _respond(hold: Hold) -> Response:
    return Response(msgspec.json.encode(hold.status(time.monotonic())), media_type="application/json")
