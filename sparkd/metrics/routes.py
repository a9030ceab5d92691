"""/metrics and /metrics/engines, on the port for clients and on the control socket.

On the port, with API keys: programs on this machine need none, because Prometheus and node_exporter usually run beside
sparkd, and neither does harm by reading; others need any valid key. Without keys, the names in the request decide, as
for every other request.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sparkd.errors import MethodNotAllowed, PathNotFound
from sparkd.gateway import Gateway
from sparkd.gateway.endpoints import respond
from sparkd.gateway.request_head import request_head
from sparkd.metrics.exposition import Exposition
from sparkd.metrics.service import Metrics

_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
"""Those that get an answer here: GET and HEAD the metrics, others an error; OPTIONS is the gateway's."""

Responder = Callable[[Request, Exposition], Response]


def metrics_routes(metrics: Metrics) -> list[BaseRoute]:
    """The routes on the control socket, for every program that may connect to it."""

    def respond_plain(_: Request, exposition: Exposition) -> Response:
        return Response(exposition.body, media_type=exposition.media_type)

    return _routes(metrics, lambda _: None, respond_plain)


def public_metrics_routes(metrics: Metrics, gateway: Gateway) -> list[BaseRoute]:
    """The routes on the port for clients. They check access, and raise what the gateway makes a response of."""

    def respond_to_client(request: Request, exposition: Exposition) -> Response:
        return respond(request, exposition.body, media_type=exposition.media_type)

    return _routes(metrics, lambda request: check_access(gateway, request), respond_to_client)


def _routes(metrics: Metrics, check: Callable[[Request], None], make: Responder) -> list[BaseRoute]:
    async def own(request: Request) -> Response:
        _check_method(request)
        check(request)
        headers = request.headers
        exposition = await metrics.read(headers.get("accept", ""), headers.get("accept-encoding", ""))
        return _add_headers(make(request, exposition), exposition)

    async def engines(request: Request) -> Response:
        _check_method(request)
        check(request)
        exposition = await metrics.read_engines(request.headers.get("accept-encoding", ""))
        return _add_headers(make(request, exposition), exposition)

    return [
        Route("/metrics", own, methods=_METHODS),
        Route("/metrics/engines", engines, methods=_METHODS),
    ]


def check_access(gateway: Gateway, request: Request) -> None:
    """Raise PathNotFound if metrics are off, and InvalidRequest, Unauthorized or AccessDenied without access."""
    if not gateway.catalogue.settings.server.metrics:
        raise PathNotFound(
            "Metrics are turned off on this port: `server.metrics` is false. The owner of sparkd can set it to true "
            "and run `sparkctl reload`, or read them on the control socket."
        )
    head = request_head(request.scope)
    if not gateway.access.is_from_this_machine(head):
        gateway.access.check(head)


def _check_method(request: Request) -> None:
    if request.method not in ("GET", "HEAD"):
        raise MethodNotAllowed(f"{request.url.path} does not accept {request.method}.", ["GET", "HEAD"])


def _add_headers(response: Response, exposition: Exposition) -> Response:
    response.headers["cache-control"] = "no-store"
    response.headers.add_vary_header("Accept, Accept-Encoding")
    if exposition.coding:
        response.headers["content-encoding"] = exposition.coding
    return response
