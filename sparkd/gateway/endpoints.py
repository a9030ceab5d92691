"""The endpoints of the gateway's routes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.endpoints import HTTPEndpoint
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Router
from starlette.types import Receive, Scope, Send

from sparkd.catalog.choices import Found
from sparkd.gateway import model_list
from sparkd.gateway.admission.key_policies import find_allowed, list_allowed, list_choices
from sparkd.gateway.forwarding import FORWARDING, Forwarding
from sparkd.gateway.measuring.measured_request import CLIENT_GONE
from sparkd.gateway.model_list import Document
from sparkd.gateway.preparation.body import ClientDisconnected
from sparkd.gateway.preparation.paths import parse_path
from sparkd.gateway.preparation.prepared_request import PreparedRequest
from sparkd.gateway.preparation.token_counting import TokenCount
from sparkd.gateway.request_head import request_head
from sparkd.gateway.responses.response_writer import EXTENSION, ResponseWriter

if TYPE_CHECKING:
    from sparkd.gateway.app import Gateway


class KeyRequired(BaseRoute):
    """Routes for clients that have access. Any request that no route before this one matches comes here."""

    def __init__(self, routes: list[BaseRoute]) -> None:
        self._router = Router(routes, redirect_slashes=False)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:  # noqa: ARG002
        """Match everything."""
        return Match.FULL, {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raise SparkdError, or route the request by its path as it was parsed, without a slash at its end."""
        path = _gateway(scope).admit(request_head(scope))
        scope["path"] = "/" + "/".join(path.segments)
        await self._router(scope, receive, send)


class Forward:
    """Forwards to engines. An ASGI object: a response is written by a ResponseWriter, past ASGI's `send`."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward one request, or continue one that was started. Raises SparkdError before anything is sent."""
        try:
            forwarding: Forwarding | None = scope["state"].pop(FORWARDING, None)
            if forwarding is None:
                prepared = await self._prepare(scope, receive)
                if prepared.count is not None:
                    await self._count(prepared, prepared.count, scope, receive, send)
                    _gateway(scope).recorder.record(request_head(scope), 200)
                    return
                forwarding = self._begin(prepared, scope)
            await forwarding.run()
        except ClientDisconnected:
            _gateway(scope).recorder.record(request_head(scope), CLIENT_GONE)

    async def _prepare(self, scope: Scope, receive: Receive) -> PreparedRequest:
        gateway, request = _gateway(scope), request_head(scope)
        named = gateway.preparer.name(request, parse_path(request.raw_path).segments)
        return await gateway.preparer.prepare(request, named, receive)

    async def _count(
        self, prepared: PreparedRequest, count: TokenCount, scope: Scope, receive: Receive, send: Send
    ) -> None:
        body, is_estimate = await _gateway(scope).count(prepared, count)
        response = respond(Request(scope), body)
        if is_estimate:
            response.headers["x-sparkd-estimate"] = "true"
        await response(scope, receive, send)

    def _begin(self, prepared: PreparedRequest, scope: Scope) -> Forwarding:
        # Taken out: the scope and the writer would be a circle that only the garbage collector finds.
        writer: ResponseWriter = scope["extensions"].pop(EXTENSION)
        return _gateway(scope).forwarding(prepared, writer)


class Models(HTTPEndpoint):
    """The list of all models."""

    async def get(self, request: Request) -> Response:
        """The list in the formats of all clients at once."""
        gateway, policy = _gateway(request.scope), request_head(request.scope).policy
        if policy is not None and policy.models is not None:
            models = list_allowed(policy, gateway.catalogue.models.values())
            founds = [Found(model, model.id) for model in models]
            founds += [choice.as_found() for choice in list_choices(gateway.catalogue, policy)]
            return _respond_cached(request, model_list.encode_some(founds, gateway.state))
        return _respond_cached(request, gateway.models.encode_all(gateway.catalogue, gateway.state))


class Model(HTTPEndpoint):
    """One model."""

    async def get(self, request: Request) -> Response:
        """Its entry. Raises ModelNotFound, ModelDisabled and ModelNotAllowed."""
        gateway = _gateway(request.scope)
        found = find_allowed(
            gateway.catalogue, request.path_params["name"], request_head(request.scope).policy
        )
        return _respond_cached(request, model_list.encode_card(found, gateway.state))


class ModelsOfOne(HTTPEndpoint):
    """The list of one model."""

    async def get(self, request: Request) -> Response:
        """A list with this model alone. Raises ModelNotFound, ModelDisabled and ModelNotAllowed."""
        gateway = _gateway(request.scope)
        found = find_allowed(
            gateway.catalogue, request.path_params["name"], request_head(request.scope).policy
        )
        return _respond_cached(request, model_list.encode_some([found], gateway.state))


async def preflight(request: Request) -> Response:
    """What a browser asks before a page's request. Raises InvalidRequest and AccessDenied."""
    _gateway(request.scope).access.check_names(request_head(request.scope))
    response = respond(request, b"", status=204)
    response.raw_headers += request_head(request.scope).preflight()
    return response


def respond(
    request: Request, body: bytes, *, status: int = 200, media_type: str = "application/json"
) -> Response:
    """A response with sparkd's own headers."""
    response = Response(body, status, media_type=media_type)
    response.raw_headers += request_head(request.scope).own_headers()
    return response


def _respond_cached(request: Request, document: Document) -> Response:
    """A document that clients may keep, but must check: 304 if the one that they have is still right."""
    is_same = document.is_named_in(request_head(request.scope).fields.get(b"if-none-match", b""))
    response = respond(request, b"" if is_same else document.body, status=304 if is_same else 200)
    response.headers["etag"] = document.tag
    response.headers["cache-control"] = "private, no-cache"
    return response


def _gateway(scope: Scope) -> Gateway:
    gateway: Gateway = scope["app"].state.gateway
    return gateway
