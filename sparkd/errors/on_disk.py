"""What goes wrong with models on disk, and what mends it."""

from __future__ import annotations

from typing import Literal

from sparkd.errors.answering import Refusal, RequestError

FetchReason = Literal[
    "gated",
    "not_found",
    "ambiguous",
    "token_refused",
    "unreachable",
    "rate_limited",
    "not_the_hub",
    "wrong_bytes",
    "disk_full",
    "disk",
    "stopped",
    "failed",
]
"""Why a fetch ended before its time."""


class FilesMissing(Refusal):
    """The model's files are not on this disk, or not whole."""

    code = "model_not_on_disk"


class BeingFetched(Refusal):
    """The model's files are on their way."""

    code = "model_downloading"


class FetchFailed(Refusal):
    """A model's files could not be fetched. `reason` is for programs, the message for people."""

    code = "download_failed"

    def __init__(
        self,
        message: str,
        *,
        reason: FetchReason = "failed",
        param: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, param=param, retry_after=retry_after)
        self.reason: FetchReason = reason


class FilesInUse(RequestError):
    """A model that runs, or is being fetched, keeps its files."""

    status = 409
    code = "model_in_use"
