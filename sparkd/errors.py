"""Everything that can go wrong, in one tree.

    SparkdError
    ├── CatalogueError          the files that say what may run are wrong (all problems together)
    ├── RuntimeNotFound         there is no definition of that name
    ├── RuntimeBuildError       a virtualenv could not be built or verified
    ├── LaunchError             a process could not be started at all
    ├── ListenError             a door could not be opened
    ├── AlreadyRunning          another daemon owns the run folder
    ├── ProbeError              the machine does not say how much memory it has
    ├── DaemonUnreachable       sparkctl found nobody at the control socket
    │   └── ControlForbidden    the control socket is somebody else's
    ├── DaemonError             what the daemon told sparkctl; carries the status, type and code it told
    ├── RequestError            the caller's doing: asking again unchanged will fail again (4xx)
    │   ├── InvalidRequest      400
    │   ├── ContextExceeded     400  the prompt cannot fit into the model's context
    │   ├── ImagesNotTaken      400
    │   ├── Unauthorized        401
    │   ├── ModelDisabled       403
    │   ├── PathForbidden       403
    │   ├── ModelNotFound       404
    │   ├── LogNotFound         404
    │   ├── PathNotFound        404
    │   ├── MethodNotAllowed    405
    │   ├── RequestTimeout      408
    │   ├── BodyTooLarge        413
    │   ├── HeadTooLarge        431
    │   └── NotSupported        501
    ├── Refusal                 sparkd's or an engine's state: asking again later may succeed
    │   ├── ModelBusy           429  another model holds the machine and `on_busy = "reject"`
    │   ├── QueueFull           429  too many requests wait already
    │   ├── WaitedTooLong       503  `max_wait` passed before the model was ready
    │   ├── ModelStopped        503  the operator stopped the model while the request waited
    │   ├── ModelFailed         503  the model's process failed and is in backoff or quarantine
    │   ├── NoRoom              503  pinned models or other programs leave no room for this one
    │   └── ShuttingDown        503
    └── UpstreamError           502  the engine broke off, or answered something that is not HTTP

Each class knows its HTTP status and its OpenAI-style `type` and `code`; `retry_after` (seconds) is what a
client may wait before it asks again, None where nobody can say.
"""

from __future__ import annotations

from dataclasses import dataclass


class SparkdError(Exception):
    """Root of the tree. `message` is one sentence for a person."""

    status: int = 500
    type: str = "server_error"
    code: str = "internal_error"

    def __init__(self, message: str, *, param: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after = retry_after


class CatalogueError(SparkdError):
    """The catalogue is wrong. `problems` has one line per problem, each naming file, key and value."""

    status = 422
    code = "catalogue_invalid"

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class RuntimeNotFound(SparkdError):
    """No runtime of that name is defined."""

    status = 404
    code = "runtime_not_found"


class RuntimeBuildError(SparkdError):
    """A runtime's virtualenv could not be built or verified."""

    code = "runtime_build_failed"


class LaunchError(SparkdError):
    """A process could not be started: the program is missing, not executable, or its runtime is not built."""

    code = "launch_failed"


class ListenError(SparkdError):
    """A door could not be opened."""

    code = "listen_failed"


class AlreadyRunning(SparkdError):
    """Another daemon owns the run folder."""

    code = "already_running"


class ProbeError(SparkdError):
    """The machine does not say how much memory it has."""

    code = "probe_failed"


class DaemonUnreachable(SparkdError):
    """Nobody answers at the control socket."""

    code = "daemon_unreachable"


class ControlForbidden(DaemonUnreachable):
    """The control socket may not be opened by this user."""

    code = "control_forbidden"


class DaemonError(SparkdError):
    """An error of the daemon's, as its client got it: `status`, `type` and `code` are those of its answer."""

    def __init__(
        self,
        message: str,
        *,
        status: int,
        type_: str,
        code: str,
        param: str | None,
        retry_after: float | None,
    ) -> None:
        super().__init__(message, param=param, retry_after=retry_after)
        self.status = status
        self.type = type_
        self.code = code


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
