"""Errors about model files on disk."""

from __future__ import annotations

from typing import Literal

from sparkd.errors.requests import Refusal, RequestError

DownloadFailureReason = Literal[
    "gated",
    "not_found",
    "ambiguous",
    "token_rejected",
    "unreachable",
    "rate_limited",
    "unexpected_response",
    "digest_mismatch",
    "disk_full",
    "disk",
    "stopped",
    "failed",
]
"""Why a download failed."""


class FilesMissing(Refusal):
    """The model's files are missing from this disk, or incomplete."""

    code = "model_not_on_disk"


class ModelDownloading(Refusal):
    """The model is being downloaded."""

    code = "model_downloading"


class DownloadFailed(Refusal):
    """A model could not be downloaded. `reason` is for programs, the message for people."""

    code = "download_failed"

    def __init__(
        self,
        message: str,
        *,
        reason: DownloadFailureReason = "failed",
        param: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, param=param, retry_after=retry_after)
        self.reason: DownloadFailureReason = reason


class FilesInUse(RequestError):
    """The model is running or being downloaded, so its files cannot be removed."""

    status = 409
    code = "model_in_use"
    retry_may_help = True
