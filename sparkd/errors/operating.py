"""What goes wrong between sparkd, its operator and the machine."""

from __future__ import annotations

from sparkd.errors.root import SparkdError


class CatalogueError(SparkdError):
    """The catalogue is wrong. `problems` has one line per problem, each naming file, key and value."""

    status = 422
    code = "catalogue_invalid"

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class ModelNotAdded(SparkdError):
    """The model's files say nothing usable, the machine has no place for it, or nobody has said yes."""

    code = "model_not_added"


class SourceNotFound(ModelNotAdded):
    """There is no such repository, revision or folder, or it is not shown to us."""

    status = 404
    code = "source_not_found"


class SourceUnreachable(ModelNotAdded):
    """The hub does not answer, or answers nonsense."""

    status = 503
    code = "source_unreachable"


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


class HandoverError(SparkdError):
    """What the sparkd before this one passed on cannot be read."""

    code = "handover_failed"


class ReplacementRefused(SparkdError):
    """The program that is installed now would not start, or is being started already."""

    status = 409
    code = "replacement_refused"


class ProbeError(SparkdError):
    """The machine does not say how much memory it has."""

    code = "probe_failed"


class DaemonUnreachable(SparkdError):
    """Nobody answers at the control socket."""

    code = "daemon_unreachable"


class ControlForbidden(DaemonUnreachable):
    """The control socket may not be opened by this user."""

    code = "control_forbidden"


class CannotDemonstrate(SparkdError):
    """The demo lacks something it cannot make itself."""

    code = "demo_failed"


class ModelNotPrepared(CannotDemonstrate):
    """A demo model could not be fetched, converted or checked."""

    code = "demo_model_failed"


class NoAnswer(CannotDemonstrate):
    """The demo's question was not answered."""


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
