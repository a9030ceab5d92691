"""Errors between sparkd, its operator and the machine."""

from __future__ import annotations

from sparkd.errors.base import SparkdError


class CatalogueError(SparkdError):
    """The catalogue has errors. `problems` has one line for each, with file, key and value."""

    status = 422
    code = "catalogue_invalid"

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class ModelNotAdded(SparkdError):
    """The model's files are not usable, it does not fit this machine, or the user did not confirm."""

    code = "model_not_added"


class SourceNotFound(ModelNotAdded):
    """There is no such repository, revision or folder, or no access to it."""

    status = 404
    code = "source_not_found"


class SourceUnreachable(ModelNotAdded):
    """The hub does not respond, or its response is invalid."""

    status = 503
    code = "source_unreachable"


class UsageUnreadable(SparkdError):
    """The file with requests and the history of models cannot be read now."""

    status = 503
    code = "usage_unreadable"


class RuntimeNotFound(SparkdError):
    """No runtime has that name."""

    status = 404
    code = "runtime_not_found"


class RuntimeBuildError(SparkdError):
    """A runtime's virtualenv could not be built or verified."""

    code = "runtime_build_failed"


class LaunchError(SparkdError):
    """A process could not be started: the program is missing, not executable, or its runtime is not built."""

    code = "launch_failed"


class ListenError(SparkdError):
    """A socket could not be opened."""

    code = "listen_failed"


class AlreadyRunning(SparkdError):
    """Another daemon uses the run folder."""

    code = "already_running"


class HandoverError(SparkdError):
    """The state that the previous sparkd handed over cannot be read."""

    code = "handover_failed"


class ReplacementRefused(SparkdError):
    """The installed program would not start, or a replacement is already running."""

    status = 409
    code = "replacement_refused"


class ProbeError(SparkdError):
    """The machine does not report its memory."""

    code = "probe_failed"


class InspectionFailed(SparkdError):
    """`sparkctl doctor` could not be run, or did not finish."""

    code = "inspection_failed"


class DaemonUnreachable(SparkdError):
    """Nothing responds at the control socket."""

    code = "daemon_unreachable"


class ControlForbidden(DaemonUnreachable):
    """This user cannot open the control socket."""

    code = "control_forbidden"


class ClientFileError(SparkdError):
    """The file of a client program cannot be read, merged or written. It is as it was."""

    code = "client_file"


class DemoError(SparkdError):
    """The demo needs something that it cannot create itself."""

    code = "demo_failed"


class DemoModelFailed(DemoError):
    """A demo model could not be downloaded, converted or verified."""

    code = "demo_model_failed"


class NoAnswer(DemoError):
    """The demo's request got no response."""


class DaemonError(SparkdError):
    """An error response from the daemon, with its `status`, `type` and `code`."""

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
