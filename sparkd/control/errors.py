"""Error responses of the control API, in the shape of OpenAI's API.

This includes a busy machine, for which the gateway uses the format of sparkd's predecessor.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from sparkd.errors import MethodNotAllowed, PathNotFound, SparkdError
from sparkd.gateway.preparation.body import ClientDisconnected

logger = logging.getLogger(__name__)


def render_error(error: SparkdError) -> Response:
    """The response to a request that failed."""
    body = {"message": error.message, "type": error.type, "code": error.code, "param": error.param}
    response = Response(msgspec.json.encode({"error": body}), error.status, media_type="application/json")
    if error.retry_after is not None:
        response.headers["retry-after"] = str(max(1, math.ceil(error.retry_after)))
    return response


def _handle_error(_: Request, error: Exception) -> Response:
    return render_error(error if isinstance(error, SparkdError) else SparkdError(str(error)))


def _handle_routing_error(request: Request, error: Exception) -> Response:
    """Starlette's 404 and 405, in the same shape."""
    if isinstance(error, HTTPException) and error.status_code == 405:
        response = render_error(MethodNotAllowed(f"{request.url.path} does not accept {request.method}"))
        response.headers["allow"] = (error.headers or {}).get("Allow", "")
        return response
    return render_error(PathNotFound(f"the control API has no {request.url.path}"))


def _handle_disconnect(_: Request, error: Exception) -> Response:  # noqa: ARG001
    return Response(status_code=499)  # nginx's status for a client that disconnected


def _handle_unexpected_error(_: Request, error: Exception) -> Response:
    """A bug in sparkd."""
    logger.error("the control API failed", exc_info=error)
    return render_error(SparkdError(f"internal error in sparkd: {type(error).__name__}; see its journal"))


EXCEPTION_HANDLERS: Mapping[type[Exception], Callable[[Request, Exception], Response]] = {
    SparkdError: _handle_error,
    HTTPException: _handle_routing_error,
    ClientDisconnected: _handle_disconnect,
    Exception: _handle_unexpected_error,
}
