"""Paths that load, unload and hold models, for clients that may operate them.

| path | whose clients |
|---|---|
| `POST /models/load`, `POST /models/unload` | llama.cpp's router, Open WebUI; they answer at once |
| `POST /v1/models/load`, `POST /v1/models/unload`, also below `/api` | LM Studio; they answer when it is done |
| `POST /api/models/unload`, `POST /api/models/unload/<model>`, `GET /running` | llama-swap |

Holds are in holding.py. One document has the fields of each. `wait` in the body decides whether the answer waits.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import structs
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sparkd.catalog.definitions import Model
from sparkd.catalog.durations import keep_alive_seconds
from sparkd.errors import InvalidRequest, SparkdError
from sparkd.gateway.disconnect import run_while_connected
from sparkd.gateway.endpoints import respond
from sparkd.gateway.ollama.generation import read_object
from sparkd.gateway.request_head import request_head
from sparkd.ollama.fields import read_flag, read_text
from sparkd.scheduling.claim import Claim
from sparkd.scheduling.status import ModelStatus

if TYPE_CHECKING:
    from sparkd.gateway.app import Gateway

REFUSAL_TIME: Final = 0.05
"""Seconds in which a load that is refused at once has reported that. Nobody waits for the rest of a load."""

_encode = msgspec.json.Encoder().encode


def operating_routes() -> list[BaseRoute]:
    """The routes; they come before those of the lists."""
    post = ["POST"]
    return [
        *(Route(f"{base}/models/load", load, methods=post) for base in ("", "/v1")),
        *(Route(f"{base}/models/unload", unload, methods=post) for base in ("", "/v1")),
        Route("/api/models/unload", unload_all, methods=post),
        Route("/api/models/unload/{name:path}", unload, methods=post),
        Route("/running", running),
    ]


async def load(request: Request) -> Response:
    """Load a model. Raises OperatorRequired, InvalidRequest, ModelNotFound, ModelDisabled and Refusal."""
    gateway, body = await read_operation(request)
    model = find_model(gateway, body, request)
    claim = request_head(request.scope).claim(model)
    for field in ("keep_alive", "ttl"):
        if (seconds := keep_alive_seconds(body.get(field), field)) is not None:
            claim = structs.replace(claim, keep_alive=seconds)
    if _waits(body, request):
        await run_while_connected(request.receive, _load(gateway, model, claim))
    else:
        task = asyncio.ensure_future(_load(gateway, model, claim))
        gateway.loads.add(task)
        task.add_done_callback(gateway.loads.discard)
        task.add_done_callback(_read_result)
        await asyncio.wait({task}, timeout=REFUSAL_TIME)
        if task.done():
            task.result()
    return respond_json(
        request, _describe(gateway, model, f'Model "{model.id}" is {gateway.residency(model)}.')
    )


async def unload(request: Request) -> Response:
    """Unload a model once no request uses it or waits for it: no response is cut.

    Raises OperatorRequired, InvalidRequest, ModelNotFound, ModelDisabled and HoldConflict.
    """
    gateway, body = await read_operation(request)
    model = find_model(gateway, body, request)
    message = _unload(gateway, model)
    if _waits(body, request):
        await run_while_connected(request.receive, gateway.host.wait_until_gone(model))
        message = f'Model "{model.id}" is unloaded.'
    return respond_json(request, _describe(gateway, model, message))


async def unload_all(request: Request) -> Response:
    """Unload the model that the body names, otherwise every model that is loaded and not held."""
    gateway, body = await read_operation(request)
    if body:
        model = find_model(gateway, body, request)
        return respond_json(request, _describe(gateway, model, _unload(gateway, model)))
    models = gateway.catalogue.models
    messages = [
        _unload(gateway, models[status.id])
        for status in gateway.host.status().models
        if status.state in ("starting", "ready") and not status.holds and status.id in models
    ]
    return respond_json(request, {"success": True, "message": " ".join(messages) or "No model is loaded."})


async def running(request: Request) -> Response:
    """The models in memory, as llama-swap lists them."""
    gateway: Gateway = request.app.state.gateway
    names = {"starting": "starting", "ready": "ready", "draining": "stopping", "stopping": "stopping"}
    found = [
        {"model": status.id, "state": names[status.state], "ttl": int(status.idle_timeout or 0)}
        for status in gateway.host.status().models
        if status.state in names
    ]
    return respond_json(request, {"running": found})


async def read_operation(request: Request) -> tuple[Gateway, dict[str, Any]]:
    """The gateway and the body, {} without one. Raises OperatorRequired and InvalidRequest."""
    gateway: Gateway = request.app.state.gateway
    head = request_head(request.scope)
    gateway.access.require_operator(head)
    return gateway, await read_object(gateway, head, request.receive) if head.has_body else {}


def find_model(gateway: Gateway, body: dict[str, Any], request: Request) -> Model:
    """The model that the path or the body names. Raises InvalidRequest, ModelNotFound and ModelDisabled."""
    name = request.path_params.get("name") or read_text(body, "model") or read_text(body, "instance_id")
    if not name:
        raise InvalidRequest("The request names no model. Set `model`.", param="model")
    model = gateway.catalogue.resolve(name).model
    request_head(request.scope).model = model.id
    return model


def _waits(body: dict[str, Any], request: Request) -> bool:
    """Whether the response waits until it is done: as the body says, otherwise for LM Studio's clients."""
    wanted = read_flag(body, "wait")
    return request.url.path.startswith("/v1/") if wanted is None else wanted


async def _load(gateway: Gateway, model: Model, claim: Claim) -> None:
    lease = gateway.host.lease(model, None, claim)
    try:
        await lease.wait()
    finally:
        lease.release()


def _read_result(task: asyncio.Future[None]) -> None:
    """The client of a load that fails later is gone: the log and the status have the reason."""
    if not task.cancelled() and (error := task.exception()) and not isinstance(error, SparkdError):
        raise error


def _unload(gateway: Gateway, model: Model) -> str:
    """Unload a model once it is idle; return what happens, as a sentence."""
    before = _status(gateway, model)
    gateway.host.unload(model)
    after = _status(gateway, model)
    if before is None or before.state not in ("starting", "ready"):
        return f'Model "{model.id}" is not loaded.'
    if after is None or after.state not in ("starting", "ready"):
        return f'Model "{model.id}" is being unloaded.'
    uses = after.in_flight + after.waiting
    requests = "1 request" if uses == 1 else f"{uses} requests"
    reason = f"{requests} for it end" if uses else "another model has started"
    return f'Model "{model.id}" is unloaded when {reason}.'


def _status(gateway: Gateway, model: Model) -> ModelStatus | None:
    return gateway.host.status().model(model.id)


def _describe(gateway: Gateway, model: Model, message: str) -> dict[str, Any]:
    """What was done, with the fields of llama.cpp and of LM Studio."""
    status = _status(gateway, model)
    return {
        "success": True,
        "model": model.id,
        "instance_id": model.id,
        "type": "embedding" if "embed" in model.tasks else "llm",
        "status": gateway.residency(model),
        "load_time_seconds": status.load_time if status else None,
        "message": message,
    }


def respond_json(request: Request, document: object) -> Response:
    """A response with a JSON document."""
    return respond(request, _encode(document))
