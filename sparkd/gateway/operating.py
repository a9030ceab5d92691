"""Paths by which clients load and unload models: those of llama.cpp's router, of llama-swap and of LM Studio.

    POST /models/load {"model", "wait", "keep_alive"}    begins to load; responds at once, unless `wait` is true
    POST /models/unload {"model"}                        unloads as soon as no request uses it or waits for it
    POST /api/v1/models/load, …/unload                   LM Studio's; load responds once the model is ready
    POST /api/models/unload, …/unload/<model>; /unload   llama-swap's: all models, or one
    GET  /running                                        llama-swap's list of loaded models

`/v1/models/load` and `/v1/models/unload` are the same as without `/v1`, and `/api/v1` is another address of `/v1`.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import structs
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Scope

from sparkd.catalog.definitions import Model
from sparkd.errors import InvalidRequest, ModelPinned
from sparkd.gateway.admission.key_policies import list_allowed
from sparkd.gateway.connections.disconnect import run_while_connected
from sparkd.gateway.endpoints import respond
from sparkd.gateway.preparation.keep_alive import read_keep_alive
from sparkd.gateway.request_head import request_head
from sparkd.rewriting import JsonBody
from sparkd.scheduling.claim import Claim

if TYPE_CHECKING:
    from sparkd.gateway.app import Gateway

_POST: Final = ["POST"]
_NAME_FIELDS: Final = ("model", "instance_id", "identifier", "name")
"""Fields that name the model: llama.cpp's, LM Studio's, and what other clients send."""


def operator_routes() -> list[BaseRoute]:
    """The routes. Access to sparkd itself is checked before them."""
    return [
        *(Route(f"{start}/models/load", load, methods=_POST) for start in ("", "/v1")),
        *(Route(f"{start}/models/unload", unload, methods=_POST) for start in ("", "/v1", "/api")),
        Route("/api/models/unload/{name:path}", unload_named, methods=_POST),
        Route("/unload", unload_all, methods=["GET", "POST"]),
        Route("/running", running),
    ]


async def load(request: Request) -> Response:
    """Begin to load a model. Raises OperatorRequired, RequestError and Refusal.

    LM Studio's path, and `wait` in the body, have it wait until the model is ready.
    """
    gateway, fields = await read_fields(request)
    model, head = find_model(gateway, fields), request_head(request.scope)
    claim = structs.replace(head.claim(model), keep_alive=read_keep_alive(fields))
    is_lm_studio = head.raw_path.startswith(b"/api/v1/")
    if not (_read_flag(fields, "wait") or is_lm_studio):
        gateway.host.begin_load(model, claim)
        return respond_json(request, _result(gateway, model))
    began = time.monotonic()
    await _wait_until_loaded(gateway, model, claim, request)
    if not is_lm_studio:
        return respond_json(request, _result(gateway, model))
    seconds = round(time.monotonic() - began, 3)
    loaded = {"type": "llm", "instance_id": model.id, "load_time_seconds": seconds, "status": "loaded"}
    return respond_json(request, loaded)


async def unload(request: Request) -> Response:
    """Unload the model that the body names, all of them if llama-swap's path names none."""
    gateway, fields = await read_fields(request)
    if not _name(fields) and request.url.path == "/api/models/unload":
        return _unload_all(gateway, request)
    model = find_model(gateway, fields)
    return respond_json(request, {**_unload(gateway, model), "instance_id": model.id})


async def unload_named(request: Request) -> Response:
    """Unload the model that the path names."""
    gateway = _gateway(request.scope)
    gateway.access.require_operator(request_head(request.scope))
    return respond_json(request, _unload(gateway, _resolve(gateway, request.path_params["name"])))


async def unload_all(request: Request) -> Response:
    """Unload every model that is neither pinned nor held. A HEAD request must not change anything."""
    if request.method == "HEAD":
        raise HTTPException(405, headers={"Allow": "GET, POST"})
    gateway = _gateway(request.scope)
    gateway.access.require_operator(request_head(request.scope))
    return _unload_all(gateway, request)


async def running(request: Request) -> Response:
    """The models in memory that the key may use, as llama-swap lists them."""
    gateway, policy = _gateway(request.scope), request_head(request.scope).policy
    models = list_allowed(policy, gateway.catalogue.models.values())
    states = ((model.id, gateway.residency(model)) for model in models)
    names = {"loading": "starting", "loaded": "ready"}
    return respond_json(
        request, {"running": [{"model": id_, "state": names[at]} for id_, at in states if at in names]}
    )


def _unload_all(gateway: Gateway, request: Request) -> Response:
    held = {hold.model for hold in gateway.host.holds.all()}
    unloaded = [
        _unload(gateway, model)
        for model in gateway.catalogue.models.values()
        if gateway.residency(model) != "unloaded" and not model.pinned and model.id not in held
    ]
    return respond_json(request, {"success": True, "models": unloaded})


def _unload(gateway: Gateway, model: Model) -> dict[str, Any]:
    """Unload one model; say what was done. Raises ModelPinned and HoldConflict."""
    if model.pinned:
        raise ModelPinned(
            f'Model "{model.id}" is pinned, so no request unloads it. Run `sparkctl stop {model.id}`, or remove '
            "`pinned` from the catalogue.",
            param="model",
        )
    before = gateway.host.status(model.id).model(model.id)
    gateway.host.unload(model)
    requests = before.in_flight + before.waiting if before else 0
    if gateway.residency(model) == "unloaded":
        message = "It was not loaded." if before is None or before.state != "ready" else "It is unloaded."
    elif requests:
        message = f"It is unloaded once its {requests} request{'s' if requests > 1 else ''} have ended."
    else:
        message = "It is being unloaded."
    return {**_result(gateway, model), "message": message}


def _result(gateway: Gateway, model: Model) -> dict[str, Any]:
    """The result of an operation. `success` is what llama.cpp's clients read."""
    return {"success": True, "model": model.id, "status": {"value": gateway.residency(model)}}


async def _wait_until_loaded(gateway: Gateway, model: Model, claim: Claim, request: Request) -> None:
    lease = gateway.host.lease(model, None, claim)
    try:
        await run_while_connected(request.receive, lease.wait())
    finally:
        lease.release()


async def read_fields(request: Request) -> tuple[Gateway, dict[str, msgspec.Raw]]:
    """Check that the client may operate, then read the body. Raises OperatorRequired and InvalidRequest."""
    gateway, head = _gateway(request.scope), request_head(request.scope)
    gateway.access.require_operator(head)
    if not head.has_body:
        return gateway, {}
    data = await gateway.preparer.read_json(head, request.receive)
    return gateway, dict(JsonBody.parse(data, keep_payloads=True).fields) if data else {}


def find_model(gateway: Gateway, fields: dict[str, msgspec.Raw]) -> Model:
    """The model that a body names. Raises InvalidRequest, ModelNotFound and ModelDisabled."""
    name = _name(fields)
    if not name:
        raise InvalidRequest('The body names no model. Send `{"model": "…"}`.', param="model")
    return _resolve(gateway, name)


def _resolve(gateway: Gateway, name: str) -> Model:
    """The model with this name; of a choice, the one that would serve a request. Raises ModelNotFound and others."""
    return gateway.preparer.chooser.choose_by_state(gateway.catalogue.resolve(name))


def _name(fields: dict[str, msgspec.Raw]) -> str:
    for field in _NAME_FIELDS:
        if field in fields:
            value = msgspec.json.decode(fields[field])
            if not isinstance(value, str):
                raise InvalidRequest(f"`{field}` must be a string, the name of a model.", param=field)
            return value
    return ""


def _read_flag(fields: dict[str, msgspec.Raw], name: str) -> bool:
    value = msgspec.json.decode(fields.get(name, b"false"))
    if not isinstance(value, bool):
        raise InvalidRequest(f"`{name}` must be true or false.", param=name)
    return value


def respond_json(request: Request, content: object) -> Response:
    """A response with a JSON document."""
    return respond(request, msgspec.json.encode(content))


def _gateway(scope: Scope) -> Gateway:
    gateway: Gateway = scope["app"].state.gateway
    return gateway
