"""sparkctl's exit codes and their meanings. `--help` and docs/sparkctl.md print this table."""

from __future__ import annotations

from sparkd.errors import ControlForbidden, DaemonUnreachable, SparkdError

SUCCESS = 0
FAILED = 1
USAGE = 2
UNREACHABLE = 3
NOT_FOUND = 4
TRY_LATER = 5
FORBIDDEN = 6
INTERRUPTED = 130
BROKEN_PIPE = 141

MEANINGS = {
    SUCCESS: "done",
    FAILED: "failed: the catalogue or the machine has problems, or a build or a model's start failed",
    USAGE: "invalid command line",
    UNREACHABLE: "sparkd is not running, or another program answers at its socket",
    NOT_FOUND: "no such model, log or runtime",
    TRY_LATER: "refused for now: the same command may succeed later",
    FORBIDDEN: "not allowed: another user's control socket, or a disabled model",
    INTERRUPTED: "interrupted with Ctrl-C",
    BROKEN_PIPE: "the reader of the output has closed the pipe",
}


def exit_code_for(error: SparkdError) -> int:
    """The exit code for an error of sparkctl or of the daemon."""
    if isinstance(error, ControlForbidden):
        return FORBIDDEN
    if isinstance(error, DaemonUnreachable):
        return UNREACHABLE
    # 503 to a client, which may retry; but here the command has failed.
    if error.code in ("model_failed", "download_failed"):
        return FAILED
    if error.code in ("model_in_use", "model_held"):
        return TRY_LATER
    return {403: FORBIDDEN, 404: NOT_FOUND, 429: TRY_LATER, 503: TRY_LATER}.get(error.status, FAILED)
