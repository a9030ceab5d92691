"""Errors in response to a request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from sparkd.errors.base import SparkdError


class RequestError(SparkdError):
    """The request itself is wrong."""

    status = 400
    type = "invalid_request_error"
    code = "invalid_request"
    retry_may_help = False


class InvalidRequest(RequestError):
    """The body, a header or a parameter is invalid."""


class ContextExceeded(RequestError):
    """The prompt is longer than the model's context. OpenAI's code."""

    code = "context_length_exceeded"


class ImagesNotSupported(RequestError):
    """The request contains an image, and the model takes only text."""

    code = "images_not_supported"


class MediaNotSupported(RequestError):
    """The request contains audio or video, and the model takes only text."""

    code = "media_not_supported"


class ToolsNotSupported(RequestError):
    """The request contains tools, and the model's engine cannot read tool calls."""

    code = "tools_not_supported"


class RequestCrashesEngine(RequestError):
    """The request made its engine fail repeatedly. A status that no client retries."""

    code = "request_crashes_engine"


class Unauthorized(RequestError):
    """The API key is missing or unknown."""

    status = 401
    type = "authentication_error"
    code = "invalid_api_key"


class ModelDisabled(RequestError):
    """The catalogue has the model and disables it."""

    status = 403
    type = "permission_error"
    code = "model_disabled"


class AccessDenied(RequestError):
    """Sparkd does not serve this host name, this web page, or this path at this address."""

    status = 403
    type = "permission_error"
    code = "access_denied"


class ModelNotAllowed(RequestError):
    """The API key may not use the model."""

    status = 403
    type = "permission_error"
    code = "model_not_allowed"


class OperatorRequired(RequestError):
    """The API key may not load, unload or hold models."""

    status = 403
    type = "permission_error"
    code = "operator_required"


class ViewerRequired(RequestError):
    """The API key may not see what the machine does."""

    status = 403
    type = "permission_error"
    code = "viewer_required"


class ModelPinned(RequestError):
    """A pinned model is not unloaded by a request."""

    status = 409
    code = "model_pinned"


class PathForbidden(RequestError):
    """An engine path that clients must never reach."""

    status = 403
    type = "permission_error"
    code = "path_forbidden"


class ModelNotFound(RequestError):
    """No model or alias has that name."""

    status = 404
    code = "model_not_found"


class LogNotFound(RequestError):
    """The model has had no process since sparkd started."""

    status = 404
    code = "log_not_found"


class CaptureNotFound(RequestError):
    """There is no captured request with that number."""

    status = 404
    code = "capture_not_found"


class PathNotFound(RequestError):
    """Nothing is served at that path."""

    status = 404
    code = "path_not_found"


class MethodNotAllowed(RequestError):
    """The path exists, the method does not. `allow` has the methods that do."""

    status = 405
    code = "method_not_allowed"

    def __init__(self, message: str, allow: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.headers = {"allow": ", ".join(allow)}


class TaskNotSupported(RequestError):
    """The model is of another kind, such as a chat request to an embedding model."""

    code = "task_not_supported"


class MediaTypeNotSupported(RequestError):
    """The body is of another type than the path takes, such as a form instead of JSON."""

    status = 415
    code = "media_type_not_supported"


class EncodingNotSupported(RequestError):
    """The body has a content encoding that sparkd cannot read. `accepted` has those that it can."""

    status = 415
    code = "encoding_not_supported"

    def __init__(self, message: str, accepted: str) -> None:
        super().__init__(message)
        self.headers = {"accept-encoding": accepted}


class RequestTimeout(RequestError):
    """The client did not finish sending its request in time."""

    status = 408
    code = "request_timeout"
    retry_may_help = True


class NotSupported(RequestError):
    """A part of HTTP that sparkd does not support, such as WebSockets."""

    status = 501
    code = "not_supported"


class BodyTooLarge(RequestError):
    """The body is larger than `max_body`."""

    status = 413
    code = "body_too_large"


class HeadersTooLarge(RequestError):
    """The request line and the headers are too large."""

    status = 431
    code = "headers_too_large"


class Refusal(SparkdError):
    """The request cannot be served now. `retry_after` is set if the time is known."""

    status = 503
    type = "service_unavailable_error"
    code = "unavailable"


class Holder(Struct, frozen=True):
    """A model that uses the machine. Times are seconds. `release` is None if idleness never stops the model."""

    model: str
    state: str
    uptime: float
    idle: float
    release: float | None
    auto_stop: bool


class ModelBusy(Refusal):
    """Other models use the machine, and the queue is off. `holders` starts with the model to wait for."""

    status = 429
    type = "rate_limit_error"
    code = "model_busy"

    def __init__(
        self, message: str, *, retry_after: float | None = None, holders: tuple[Holder, ...] = ()
    ) -> None:
        super().__init__(message, retry_after=retry_after)
        self.holders = holders


class QueueFull(Refusal):
    """`queue.max_length` requests are waiting."""

    status = 429
    type = "rate_limit_error"
    code = "queue_full"


class KeyLimitReached(Refusal):
    """The API key has as many requests, at once or in a minute, as it may have. `headers` has its limits."""

    status = 429
    type = "rate_limit_error"
    code = "rate_limit_exceeded"

    def __init__(self, message: str, *, retry_after: float, headers: Mapping[str, str]) -> None:
        super().__init__(message, retry_after=retry_after)
        self.headers = dict(headers)


class WaitTimeout(Refusal):
    """The model was not ready within `max_wait`."""

    code = "wait_timeout"


class BackgroundPutOff(Refusal):
    """A background request waited for a model that would have had to evict another one."""

    code = "background"


class ModelStopped(Refusal):
    """An operator stopped the model while the request waited for it."""

    code = "model_stopped"


class ModelFailed(Refusal):
    """The model's process failed. It is started again after a backoff, or after `sparkctl retry`."""

    code = "model_failed"


class InsufficientMemory(Refusal):
    """The model does not fit beside the models that cannot be evicted."""

    code = "insufficient_memory"


class ModelNotLoaded(Refusal):
    """The model would have to be loaded, and this request does not load it."""

    code = "model_not_loaded"


class ShuttingDown(Refusal):
    """The daemon is stopping."""

    code = "shutting_down"


class UpstreamError(SparkdError):
    """The engine closed the connection, or did not send HTTP."""

    status = 502
    type = "upstream_error"
    code = "engine_failed"


class EngineRejected(SparkdError):
    """An error response of an engine, with its own `status`, and a `type` and `code` of sparkd's APIs."""

    def __init__(self, message: str, *, status: int, type_: str, code: str, param: str | None = None) -> None:
        super().__init__(message, param=param)
        self.status = status
        self.type = type_
        self.code = code
