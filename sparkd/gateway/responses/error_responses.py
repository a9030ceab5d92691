"""Errors that endpoints raise, as responses. Each is logged."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from sparkd.errors import MethodNotAllowed, PathNotFound, SparkdError
from sparkd.gateway.endpoints import respond
from sparkd.gateway.preparation.engine_paths import find_similar
from sparkd.gateway.request_head import request_head
from sparkd.gateway.responses.errors import error_body, error_headers
from sparkd.gateway.responses.public_errors import public_error


def _respond(request: Request, error: Exception) -> Response:
    head = request_head(request.scope)
    public = public_error(error, f"{request.method} {request.scope['path']}", head)
    gateway = request.app.state.gateway
    gateway.log.refused(head, public)
    gateway.recorder.record(head, public.status, public.code)
    response = respond(request, error_body(public, head.dialect, head.identify()), status=public.status)
    for name, value in error_headers(public).items():
        response.headers[name] = value
    return response


def _not_routed(request: Request, error: Exception) -> Response:
    """Starlette's own 404 and 405."""
    if isinstance(error, HTTPException) and error.status_code == 405:
        allow = (error.headers or {}).get("Allow", "")
        message = f"{request.scope['path']} does not accept {request.method}."
        return _respond(request, MethodNotAllowed(message, allow.split(", ")))
    path, served = request.scope["path"], request.app.state.gateway.served
    similar = find_similar(path)
    meant = f"; did you mean {similar}?" if similar else f". {served}"
    return _respond(request, PathNotFound(f"Nothing is served at {path}{meant}"))


EXCEPTION_HANDLERS: Mapping[type[Exception], Callable[[Request, Exception], Response]] = {
    SparkdError: _respond,
    HTTPException: _not_routed,
    Exception: _respond,
}
