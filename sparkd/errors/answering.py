"""What goes wrong with a request, and how its client is told."""

from __future__ import annotations

from dataclasses import dataclass

from sparkd.errors.root import SparkdError


class RequestError(SparkdError):
    """The request itself is at fault."""

    status = 400
    type = "invalid_request_error"
    code = "invalid_request"


class InvalidRequest(RequestError):
    """The body, a header or a parameter cannot be understood."""


class ContextExceeded(RequestError):
    """The prompt is longer than the model's context, in OpenAI's words for it."""

    code = "context_length_exceeded"


class ImagesNotTaken(RequestError):
    """The request has an image in it, and the model takes text alone."""

    code = "images_not_supported"


class Unauthorized(RequestError):
    """No API key, or one that is not known."""

    status = 401
    type = "authentication_error"
    code = "invalid_api_key"


class ModelDisabled(RequestError):
    """The catalogue has the model and says not to run it."""

    status = 403
    type = "permission_error"
    code = "model_disabled"


class PathForbidden(RequestError):
    """An engine path that must never be reached from outside."""

    status = 403
    type = "permission_error"
    code = "path_forbidden"


class ModelNotFound(RequestError):
    """No model or alias of that name."""

    status = 404
    code = "model_not_found"


class LogNotFound(RequestError):
    """The model has had no process since sparkd started."""

    status = 404
    code = "log_not_found"


class PathNotFound(RequestError):
    """Nothing is served at that path."""

    status = 404
    code = "path_not_found"


class MethodNotAllowed(RequestError):
    """The path exists, the method does not."""

    status = 405
    code = "method_not_allowed"


class RequestTimeout(RequestError):
    """The client stopped in the middle of its request."""

    status = 408
    code = "request_timeout"


class NotSupported(RequestError):
    """Something of HTTP that sparkd does not do, such as WebSockets."""

    status = 501
    code = "not_supported"


class BodyTooLarge(RequestError):
    """The body is longer than `max_body`."""

    status = 413
    code = "body_too_large"


class HeadTooLarge(RequestError):
    """The request line and the headers are too long."""

    status = 431
    code = "head_too_large"


class Refusal(SparkdError):
    """Not now. `retry_after` says when, where that is known."""

    status = 503
    type = "service_unavailable_error"
    code = "unavailable"


@dataclass(frozen=True, slots=True)
class Holder:
    """A model that holds the machine. Times are seconds; `release` is None where idleness never stops it."""

    model: str
    state: str
    uptime: float
    idle: float
    release: float | None
    auto_stop: bool


class ModelBusy(Refusal):
    """Other models hold the machine, and the queue is switched off. `holders`: the one in the way first."""

    status = 429
    type = "rate_limit_error"
    code = "model_busy"

    def __init__(self, message: str, *, retry_after: float, holders: tuple[Holder, ...]) -> None:
        super().__init__(message, retry_after=retry_after)
        self.holders = holders


class QueueFull(Refusal):
    """As many requests wait as the settings allow."""

    status = 429
    type = "rate_limit_error"
    code = "queue_full"


class WaitedTooLong(Refusal):
    """`max_wait` passed before the model was ready."""

    code = "wait_timeout"


class ModelStopped(Refusal):
    """The operator stopped the model while the request waited for it."""

    code = "model_stopped"


class ModelFailed(Refusal):
    """The model's process failed; it is tried again after a pause, or after an operator's word."""

    code = "model_failed"


class NoRoom(Refusal):
    """The model does not fit beside what may not be evicted."""

    code = "no_room"


class ShuttingDown(Refusal):
    """The daemon is stopping."""

    code = "shutting_down"


class UpstreamError(SparkdError):
    """The engine broke off or spoke no HTTP."""

    status = 502
    type = "upstream_error"
    code = "engine_failed"
