"""Explains errors of the hub's library, the network and the disk, and what to do about them.

Only the download process imports this.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import httpx2
from huggingface_hub import constants
from huggingface_hub.errors import (
    DisabledRepoError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from sparkd.errors import DownloadFailed
from sparkd.hub.credentials import FILE_NAME
from sparkd.hub.messages import Failed
from sparkd.hub.transfer import retry_after

DISK_FULL_ERRNOS: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

LONGEST_QUOTE: Final = 300
"""The most characters of a quoted message: a header of 60 KiB is too long for a line of the log."""

LISTING_ERRORS: Final = (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError)
"""The errors of the library and of sparkd for a response that is not a listing."""

NETWORK_CLOSED: Final = (
    " Under systemd the service has no access to the network unless a drop-in allows it. `sudo sparkctl pull` runs "
    "outside the service."
)


@dataclass(frozen=True, slots=True)
class DownloadAttempt:
    """A download in progress. `token`: whether there is a token. `state`: the folder `paths.state`."""

    source: str
    revision: str | None
    token: bool
    state: str

    @property
    def page(self) -> str:
        """The page of the repository."""
        return f"{constants.ENDPOINT}/{self.source}"

    @property
    def hint(self) -> str:
        """How to give sparkd a token."""
        return f"give sparkd a token: HF_TOKEN, `hf auth login`, or the file {self.state}/{FILE_NAME}"


def explain_error(error: Exception, attempt: DownloadAttempt) -> Failed:
    """Convert an error into its report."""
    explained = next((explain for kind, explain in EXPLANATIONS if isinstance(error, kind)), None)
    if explained is not None:
        return explained(error, attempt)
    if isinstance(error, LISTING_ERRORS):
        return _unexpected_response(error, attempt)
    text = (
        f"Cannot download {attempt.source}: a bug in sparkd ({error!r:.{LONGEST_QUOTE}}). Please report it."
    )
    return Failed(reason="failed", message=text)


def _unexpected_response(error: Any, attempt: DownloadAttempt) -> Failed:
    text = (
        f"Cannot download {attempt.source}: a proxy or a login page answers at {constants.ENDPOINT} instead of the hub "
        f"({error!r:.{LONGEST_QUOTE}}). Check HF_ENDPOINT and the proxy settings."
    )
    return Failed(reason="unexpected_response", message=text)


def _own_error(error: Any, _: DownloadAttempt) -> Failed:
    return Failed(reason=error.reason, message=error.message, retry_after=error.retry_after)


def _gated_repository(_: Any, attempt: DownloadAttempt) -> Failed:
    text = f"{attempt.source} is gated. Accept its licence at {attempt.page}, then {attempt.hint}."
    if attempt.token:
        text = f"{attempt.source} is gated, and your token has no access to it yet. Request access at {attempt.page}."
    return Failed(reason="gated", message=text)


def _disabled_repository(_: Any, attempt: DownloadAttempt) -> Failed:
    return Failed(reason="not_found", message=f"The hub has disabled {attempt.source}; see {attempt.page}.")


def _missing_revision(_: Any, attempt: DownloadAttempt) -> Failed:
    text = f"{attempt.source} has no revision {attempt.revision}. Correct the model's `revision`."
    return Failed(reason="not_found", message=text)


def _missing_file(_: Any, attempt: DownloadAttempt) -> Failed:
    text = f"The hub no longer has a file of {attempt.source} that it listed a moment ago. Try again."
    return Failed(reason="not_found", message=text)


def _missing_repository(_: Any, attempt: DownloadAttempt) -> Failed:
    private = "use a token that has access" if attempt.token else attempt.hint
    text = f"The hub has no {attempt.source}, or it is private. Correct the model's `source`, or {private}."
    return Failed(reason="not_found", message=text)


def _invalid_name(_: Any, attempt: DownloadAttempt) -> Failed:
    text = f"{attempt.source} is not the name of a repository (`org/name`). Correct the model's `source`."
    return Failed(reason="not_found", message=text)


def _offline_mode(_: Any, __: DownloadAttempt) -> Failed:
    text = "HF_HUB_OFFLINE is set, so nothing is downloaded. Unset it and try again."
    return Failed(reason="unreachable", message=text)


def _http_error(error: Any, attempt: DownloadAttempt) -> Failed:
    response = error.response
    status, after = response.status_code, retry_after(error)
    reason = (response.headers.get("x-error-message") or response.reason_phrase)[:LONGEST_QUOTE]
    if status == 429:
        text = "The hub has received too many requests from this address. Try again later; with a token it allows more."
        return Failed(reason="rate_limited", message=text, retry_after=after)
    if status == 407 or "text/html" in response.headers.get("content-type", ""):
        text = (
            f"A proxy or another program at {_host(response.url)} answered {status} instead of the hub. Check "
            "HF_ENDPOINT and the proxy settings."
        )
        return Failed(reason="unexpected_response", message=text)
    if status in (401, 403):
        text = f"The hub does not let this token read {attempt.source} ({reason}). To use another one, {attempt.hint}."
        return Failed(reason="token_rejected", message=text)
    text = f"The hub answered {status} ({reason}). Try again later."
    return Failed(reason="unreachable", message=text, retry_after=after)


def _unreachable(error: Any, _: DownloadAttempt) -> Failed:
    host = urlsplit(constants.ENDPOINT).netloc
    with suppress(RuntimeError):  # the error has no request
        host = _host(error.request.url)
    why = "no data for too long" if isinstance(error, httpx2.TimeoutException) else str(error)
    why = why[:LONGEST_QUOTE] or type(error).__name__
    text = f"Cannot reach {host}: {why}. What has arrived is kept, and the next try continues from there."
    if isinstance(error, httpx2.ProxyError):
        text = f"The proxy cannot reach {host}: {why}."
    closed = NETWORK_CLOSED if "INVOCATION_ID" in os.environ else ""  # systemd.exec(5)
    return Failed(reason="unreachable", message=text + closed)


def _disk_error(error: Any, _: DownloadAttempt) -> Failed:
    place = f" ({error.filename})" if error.filename else ""
    if error.errno in DISK_FULL_ERRNOS:
        text = (
            f"The disk is full{place}. Free some space, for example with `sparkctl rm MODEL`, and try again."
        )
        return Failed(reason="disk_full", message=text)
    return Failed(reason="disk", message=f"Cannot write the files{place}: {error.strerror or error}.")


def _host(url: httpx2.URL) -> str:
    return f"{url.host}:{url.port}" if url.port else url.host


EXPLANATIONS: Final[tuple[tuple[type[Exception], Callable[[Any, DownloadAttempt], Failed]], ...]] = (
    (DownloadFailed, _own_error),
    (GatedRepoError, _gated_repository),
    (DisabledRepoError, _disabled_repository),
    (RevisionNotFoundError, _missing_revision),
    (RemoteEntryNotFoundError, _missing_file),
    (RepositoryNotFoundError, _missing_repository),
    (HFValidationError, _invalid_name),
    (OfflineModeIsEnabled, _offline_mode),
    (HfHubHTTPError, _http_error),
    (httpx2.TransportError, _unreachable),
    (httpx2.RequestError, _unexpected_response),
    (httpx2.InvalidURL, _unexpected_response),
    (OSError, _disk_error),
)
"""Explanations by class, special before general: many of the library's errors are subclasses of OSError."""
