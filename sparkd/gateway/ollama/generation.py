"""`/api/chat`, `/api/generate`, `/api/embed` and `/api/embeddings`: translated, then forwarded like all requests."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import structs
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sparkd.catalog.choices import Found
from sparkd.catalog.definitions import Model
from sparkd.errors import InvalidRequest
from sparkd.gateway.admission.key_policies import limit_to_allowed
from sparkd.gateway.connections.disconnect import run_while_connected
from sparkd.gateway.endpoints import respond
from sparkd.gateway.measuring.measured_request import CLIENT_GONE
from sparkd.gateway.ollama.translation import OllamaTranslation
from sparkd.gateway.preparation.body import ClientDisconnected
from sparkd.gateway.preparation.prepared_request import PreparedRequest, is_lossy
from sparkd.gateway.request_head import RequestHead, request_head
from sparkd.gateway.responses.response_writer import EXTENSION
from sparkd.ollama.documents import encode, loaded_document
from sparkd.ollama.requests import Kind, TranslatedRequest, read_name, translate_request
from sparkd.ollama.times import format_time
from sparkd.rewriting import JsonBody

if TYPE_CHECKING:
    from sparkd.gateway.app import Gateway

_NOT_FORWARDED: Final = frozenset({b"accept", b"accept-encoding"})
"""Headers that engines do not get: sparkd has to read their responses."""


class Generation:
    """The endpoint of one of these paths. An ASGI object: a response is written by a ResponseWriter."""

    def __init__(self, kind: Kind) -> None:
        self._kind: Kind = kind

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. Raises SparkdError before anything is sent."""
        gateway: Gateway = scope["app"].state.gateway
        request = request_head(scope)
        try:
            body = await read_object(gateway, request, receive)
            request.asked = read_name(body)
            found = find_model(gateway, request, request.asked)
            request.model = found.model.id
            translated = self._translate(found, body)
            if translated.body is None:
                model = gateway.preparer.chooser.choose_by_state(found)
                response = await _load(gateway, model, translated, Request(scope, receive))
                await response(scope, receive, send)
                gateway.recorder.record(request, 200)
                return
            prepared = self._prepare(gateway, request, found, body)
            # Taken out: the scope and the writer would be a circle that only the garbage collector finds.
            await gateway.forwarding(prepared, scope["extensions"].pop(EXTENSION)).run()
        except ClientDisconnected:
            gateway.recorder.record(request, CLIENT_GONE)

    def _translate(self, found: Found, body: dict[str, Any]) -> TranslatedRequest:
        model = found.model
        return translate_request(self._kind, body, (model.id, model.source, model.family))

    def _prepare(
        self, gateway: Gateway, request: RequestHead, found: Found, body: dict[str, Any]
    ) -> PreparedRequest:
        """Translate and prepare the request for the model, or for one of a choice. Raises RequestError."""
        if found.choice is None:
            return _prepare_for(gateway, request, found, self._translate(found, body))

        def prepare(candidate: Found) -> PreparedRequest:
            translated = self._translate(candidate, body)
            prepared = _prepare_for(gateway, request, candidate, translated)
            return structs.replace(prepared, is_chosen=True)

        return gateway.preparer.chooser.choose(found.choice, prepare, is_lossy)


async def read_object(gateway: Gateway, request: RequestHead, receive: Receive) -> dict[str, Any]:
    """Read a body that must be a JSON object. Raises InvalidRequest and ClientDisconnected."""
    data = await gateway.preparer.read_json(request, receive)
    try:
        return msgspec.json.decode(data, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        repaired = JsonBody.parse(
            data, keep_payloads=True
        )  # raises InvalidRequest that explains what is wrong
    return {name: msgspec.json.decode(value) for name, value in repaired.fields.items()}


def find_model(gateway: Gateway, request: RequestHead, name: str) -> Found:
    """The model, or the choice, that a client means. Raises ModelNotFound, ModelDisabled and ModelNotAllowed."""
    found = gateway.catalogue.resolve_or_default(name)
    if found is None:
        raise InvalidRequest("The request names no model. Set `model`.", param="model")
    return limit_to_allowed(found, request.policy)


def _prepare_for(
    gateway: Gateway, request: RequestHead, found: Found, translated: TranslatedRequest
) -> PreparedRequest:
    preparer = gateway.preparer
    named = structs.replace(preparer.name(request, translated.path), model=found.model, name=found.name)
    request.model = found.model.id
    prepared = preparer.prepare_json(request, named, translated.encode())
    engine = prepared.request
    keep_alive = _read_keep_alive(gateway, request, translated)
    ignored = ("ignored-keep-alive",) if keep_alive != translated.keep_alive else ()
    return structs.replace(
        prepared,
        request=structs.replace(engine, without=engine.without | _NOT_FORWARDED),
        rewrites=(*prepared.rewrites, *translated.rewrites, *ignored),
        translation=OllamaTranslation(translated, found.model.id),
        keep_alive=None if prepared.is_substitute else keep_alive,
    )


def _read_keep_alive(gateway: Gateway, request: RequestHead, translated: TranslatedRequest) -> float | None:
    """How long (seconds) the model stays loaded while it is idle; None if the client may not decide that."""
    return translated.keep_alive if gateway.access.may_operate(request) else None


async def _load(gateway: Gateway, model: Model, translated: TranslatedRequest, request: Request) -> Response:
    """Load or unload the model, for a request without a prompt. Raises Refusal, KeyLimitReached, OperatorRequired."""
    is_unload = translated.keep_alive == 0
    if is_unload:
        gateway.access.require_operator(request_head(request.scope))
        await _unload_if_idle(gateway, model)
    else:
        await run_while_connected(
            request.receive, _wait_until_loaded(gateway, model, request_head(request.scope), translated)
        )
    document = loaded_document(
        translated.kind, translated.name, format_time(time.time()), "unload" if is_unload else "load"
    )
    kind = "application/x-ndjson" if translated.streams else "application/json"
    end = b"\n" if translated.streams else b""
    return respond(request, encode(document) + end, media_type=kind)


async def _unload_if_idle(gateway: Gateway, model: Model) -> None:
    """Stop the model, unless another request uses it or waits for it, or the owner has pinned it.

    Raises HoldConflict.
    """
    status = gateway.host.status(model.id).model(model.id)
    if status and status.state == "ready" and not (status.in_flight or status.waiting or status.pinned):
        await gateway.host.stop(model)


async def _wait_until_loaded(
    gateway: Gateway, model: Model, head: RequestHead, translated: TranslatedRequest
) -> None:
    counted = gateway.limits.count(head.policy)
    claim = structs.replace(head.claim(model), keep_alive=_read_keep_alive(gateway, head, translated))
    lease = gateway.host.lease(model, None, claim)
    try:
        await lease.wait()
    finally:
        lease.release()
        if counted is not None:
            counted.release()
