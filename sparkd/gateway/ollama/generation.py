"""`/api/chat`, `/api/generate`, `/api/embed` and `/api/embeddings`: translated, then forwarded like all requests."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import structs
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sparkd.catalog.definitions import Model
from sparkd.errors import InvalidRequest
from sparkd.gateway.body import ClientDisconnected
from sparkd.gateway.disconnect import run_while_connected
from sparkd.gateway.endpoints import respond
from sparkd.gateway.ollama.translation import OllamaTranslation
from sparkd.gateway.prepared_request import PreparedRequest
from sparkd.gateway.request_head import RequestHead, request_head
from sparkd.gateway.response_writer import EXTENSION
from sparkd.ollama.documents import encode, loaded_document
from sparkd.ollama.requests import Kind, TranslatedRequest, read_name, translate_request
from sparkd.ollama.times import format_time
from sparkd.rewriting import JsonBody
from sparkd.scheduling.claim import Claim

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
            model = find_model(gateway, read_name(body))
            request.model = model.id
            translated = translate_request(self._kind, body, (model.id, model.source, model.family))
            if translated.body is None:
                response = await _load(gateway, model, translated, Request(scope, receive))
                await response(scope, receive, send)
                return
            prepared = _prepare(gateway, request, model, translated)
            # Taken out: the scope and the writer would be a circle that only the garbage collector finds.
            await gateway.forwarding(prepared, scope["extensions"].pop(EXTENSION)).run()
        except ClientDisconnected:
            return


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


def find_model(gateway: Gateway, name: str) -> Model:
    """The model that a client means. Raises ModelNotFound and ModelDisabled."""
    found = gateway.catalogue.resolve_or_default(name)
    if found is None:
        raise InvalidRequest("The request names no model. Set `model`.", param="model")
    return found.model


def _prepare(
    gateway: Gateway, request: RequestHead, model: Model, translated: TranslatedRequest
) -> PreparedRequest:
    preparer = gateway.preparer
    named = preparer.name(request, translated.path)
    prepared = preparer.prepare_json(request, named, translated.encode())
    engine = prepared.request
    return structs.replace(
        prepared,
        request=structs.replace(engine, without=engine.without | _NOT_FORWARDED),
        rewrites=(*prepared.rewrites, *translated.rewrites),
        keep_alive=None if translated.keep_alive is None else (translated.keep_alive, "keep_alive"),
        translation=OllamaTranslation(translated, model.id),
    )


async def _load(gateway: Gateway, model: Model, translated: TranslatedRequest, request: Request) -> Response:
    """Load or unload the model, for a request without a prompt."""
    head = request_head(request.scope)
    claim = head.claim(model)
    is_unload = translated.keep_alive == 0
    if is_unload:
        gateway.access.require_operator(head)
        gateway.host.keep_alive(model, 0.0)
    else:
        if translated.keep_alive is not None and gateway.access.may_operate(head):
            claim = structs.replace(claim, keep_alive=translated.keep_alive)
        await run_while_connected(request.receive, _wait_until_loaded(gateway, model, claim))
    document = loaded_document(
        translated.kind, translated.name, format_time(time.time()), "unload" if is_unload else "load"
    )
    kind = "application/x-ndjson" if translated.streams else "application/json"
    end = b"\n" if translated.streams else b""
    return respond(request, encode(document) + end, media_type=kind)


async def _wait_until_loaded(gateway: Gateway, model: Model, claim: Claim) -> None:
    lease = gateway.host.lease(model, None, claim)
    try:
        await lease.wait()
    finally:
        lease.release()
