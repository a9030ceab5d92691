"""`/models/hold` and `/models/holds`: a client keeps a model loaded until a time, for a job."""

from __future__ import annotations

import datetime
import time
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import structs
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sparkd.catalog.durations import duration_seconds, seconds_until
from sparkd.errors import InvalidRequest
from sparkd.gateway.operating import find_model, read_fields, respond_json
from sparkd.gateway.request_head import RequestHead, request_head
from sparkd.ollama.fields import read_text
from sparkd.scheduling.hold import Hold

if TYPE_CHECKING:
    from sparkd.gateway.app import Gateway


def holding_routes() -> list[BaseRoute]:
    """The routes; they come before those of the lists."""
    return [
        Route("/models/hold", hold, methods=["POST"]),
        Route("/models/holds", holds),
        Route("/models/holds/{id}", release, methods=["DELETE"]),
    ]


async def hold(request: Request) -> Response:
    """Hold a model, and begin to load it.

    Raises OperatorRequired, InvalidRequest, ModelNotFound, ModelDisabled, HoldConflict and Refusal.
    """
    gateway, fields = await read_fields(request)
    model = find_model(gateway, fields)
    body = {name: msgspec.json.decode(value) for name, value in fields.items()}
    begun = gateway.host.holds.begin(
        model,
        _read_seconds(body),
        owner=_name(request_head(request.scope)),
        job=read_text(body, "job") or "",
        reason=read_text(body, "reason") or "",
    )
    return respond_json(request, _describe(gateway, begun))


async def holds(request: Request) -> Response:
    """All holds."""
    gateway: Gateway = request.app.state.gateway
    found = [_describe(gateway, each) for each in gateway.host.holds.all()]
    return respond_json(request, {"object": "list", "data": found})


async def release(request: Request) -> Response:
    """End a hold: for its owner, and for those who may operate. Raises HoldNotFound and OperatorRequired."""
    gateway: Gateway = request.app.state.gateway
    head = request_head(request.scope)
    found = gateway.host.holds.find(request.path_params["id"])
    if not head.key or found.owner != head.key:
        gateway.access.require_operator(head)
    ended = gateway.host.holds.end(found.id, _name(head) or "a client")
    return respond_json(request, {"success": True, "id": ended.id, "model": ended.model})


def _name(head: RequestHead) -> str:
    """The name of the client's key, or of its program; "" if both are unknown."""
    return head.key or head.client.name


def _read_seconds(body: dict[str, Any]) -> float:
    """How long the hold lasts, by `for` or `until`. Raises InvalidRequest."""
    given = [field for field in ("for", "until") if body.get(field) is not None]
    if len(given) != 1:
        raise InvalidRequest(
            'Set either `for`, such as "2h", or `until`, such as "18:00" or "2026-12-24T18:00:00+01:00".',
            param="for",
        )
    value = body[given[0]]
    if given == ["for"]:
        seconds, example = duration_seconds(value), 'a duration: send seconds or a text such as "2h" or "90m"'
    else:
        now = datetime.datetime.now().astimezone()
        seconds = seconds_until(value, now) if isinstance(value, str) else None
        example = 'a time: send "18:00", or a date and time such as "2026-12-24T18:00:00+01:00"'
    if seconds is None:
        raise InvalidRequest(f"`{given[0]}` is not {example}.", param=given[0])
    return seconds


def _describe(gateway: Gateway, described: Hold) -> dict[str, Any]:
    until = datetime.datetime.fromtimestamp(described.until, datetime.UTC)
    fields = structs.asdict(described.status(time.monotonic()))
    model = gateway.catalogue.models.get(described.model)
    return {
        "object": "hold",
        **fields,
        "until": until.isoformat(timespec="seconds"),
        "status": gateway.residency(model) if model else "unloaded",
    }
