"""Endpoints that tools request before anything else, to find out what this is. None of them starts a model.

| path | who asks |
|---|---|
| `/healthz`, `/health`, `/ping` | load balancers, guidellm, SageMaker's clients |
| `/v1/<model>/health`, `/v1/<model>/ping` | the same, with a base URL that has the model in it |
| `/version` | clients of vLLM |
| `/`, `/v1` | people, and clients that check whether anything responds; at `/`, those of Ollama look for its text |
| `/favicon.ico`, `/robots.txt` | browsers |
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from starlette.endpoints import HTTPEndpoint
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from sparkd import __version__
from sparkd.errors import PathNotFound
from sparkd.gateway.admission.key_policies import find_allowed
from sparkd.gateway.endpoints import respond
from sparkd.gateway.model_list import find_serving
from sparkd.gateway.request_head import request_head
from sparkd.gateway.responses.errors import error_body

if TYPE_CHECKING:
    from sparkd.gateway.app import Gateway

_encode = msgspec.json.Encoder().encode

_OVERVIEW = _encode(
    {
        "message": "sparkd serves the models of this machine, with the APIs of OpenAI, Anthropic and Ollama.",
        "base_urls": {"openai": "/v1", "anthropic": "/", "ollama": "/"},
        "models": "/v1/models",
        "endpoints": [
            "/v1/chat/completions",
            "/v1/completions",
            "/v1/responses",
            "/v1/messages",
            "/v1/embeddings",
            "/v1/<model>/…",
            "/api/chat",
        ],
        "health": "/health",
        "version": "/version",
    }
)
_VERSION = _encode({"version": __version__})


class Health(HTTPEndpoint):
    """Whether sparkd serves."""

    async def get(self, request: Request) -> Response:
        """Just "ok"."""
        return respond(request, b"ok\n", media_type="text/plain")


class ModelHealth(HTTPEndpoint):
    """Whether sparkd serves a model, loaded or not."""

    async def get(self, request: Request) -> Response:
        """Its id and whether it is loaded; for a choice, those of the model that serves it.

        Raises ModelNotFound, ModelDisabled and ModelNotAllowed.
        """
        gateway = _gateway(request.scope)
        found = find_allowed(
            gateway.catalogue, request.path_params["name"], request_head(request.scope).policy
        )
        model = find_serving(found.choice, gateway.state) if found.choice else found.model
        state = gateway.residency(model)
        return respond(request, _encode({"status": "ok", "model": model.id, "state": state}))


class Version(HTTPEndpoint):
    """The version of sparkd, as vLLM gives its own."""

    async def get(self, request: Request) -> Response:
        """The version."""
        return respond(request, _VERSION)


class Root(HTTPEndpoint):
    """What is served here, for browsers and for clients that want JSON; Ollama's text for all others."""

    async def get(self, request: Request) -> Response:
        """Ollama's clients check the status, and some the text."""
        accepted = request.headers.get("accept", "")
        if "text/html" in accepted or "application/json" in accepted:
            return respond(request, _OVERVIEW)
        return respond(request, b"Ollama is running", media_type="text/plain")


class Overview(HTTPEndpoint):
    """What is served here."""

    async def get(self, request: Request) -> Response:
        """One line for people, and the most important paths."""
        return respond(request, _OVERVIEW)


class Nothing(HTTPEndpoint):
    """What browsers request by themselves. Not logged."""

    async def get(self, request: Request) -> Response:
        """404."""
        return respond(request, error_body(PathNotFound("There is no such file.")), status=404)


def _gateway(scope: Scope) -> Gateway:
    gateway: Gateway = scope["app"].state.gateway
    return gateway
