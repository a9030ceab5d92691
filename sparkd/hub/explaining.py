"""What an error of the hub's library, of the network or of the disk means to a person, and what mends it.

Only the process that fetches imports this.
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

from sparkd.errors import FetchFailed
from sparkd.hub.access import FILE
from sparkd.hub.telling import Failed
from sparkd.hub.transfer import retry_after

FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

LONGEST_QUOTE: Final = 300
"""Characters of what others said that are passed on: a header of 60 KiB is more than a line of ours may have."""

NO_LISTING: Final = (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError)
"""What the library and we raise while reading what is no listing."""

NETWORK_CLOSED: Final = (
    " Under systemd the service has no access to the network unless a drop-in allows it. `sudo sparkctl pull` runs "
    "outside the service."
)


@dataclass(frozen=True, slots=True)
class Attempt:
    """What was being fetched. `token`: whether there is one; `state`: the folder `paths.state`."""

    source: str
    revision: str | None
    token: bool
    state: str

    @property
    def page(self) -> str:
        """Where a person reads about it."""
        return f"{constants.ENDPOINT}/{self.source}"

    @property
    def give(self) -> str:
        """How sparkd gets a token."""
        return f"give sparkd a token: HF_TOKEN, `hf auth login`, or the file {self.state}/{FILE}"


def failed(error: Exception, attempt: Attempt) -> Failed:
    """The error as it is told."""
    explained = next((explain for kind, explain in EXPLAINED if isinstance(error, kind)), None)
    if explained is not None:
        return explained(error, attempt)
    if isinstance(error, NO_LISTING):
        return _not_the_hub(error, attempt)
    text = (
        f"Cannot download {attempt.source}: a bug in sparkd ({error!r:.{LONGEST_QUOTE}}). Please report it."
    )
    return Failed(reason="failed", message=text)


def _not_the_hub(error: Any, attempt: Attempt) -> Failed:
    text = (
        f"Cannot download {attempt.source}: a proxy or a login page answers at {constants.ENDPOINT} instead of the hub "
        f"({error!r:.{LONGEST_QUOTE}}). Check HF_ENDPOINT and the proxy settings."
    )
    return Failed(reason="not_the_hub", message=text)


def _ours(error: Any, _: Attempt) -> Failed:
    return Failed(reason=error.reason, message=error.message, retry_after=error.retry_after)


def _gated(_: Any, attempt: Attempt) -> Failed:
    text = f"{attempt.source} is gated. Accept its licence at {attempt.page}, then {attempt.give}."
    if attempt.token:
        text = f"{attempt.source} is gated, and your token has no access to it yet. Request access at {attempt.page}."
    return Failed(reason="gated", message=text)


def _disabled(_: Any, attempt: Attempt) -> Failed:
    return Failed(reason="not_found", message=f"The hub has disabled {attempt.source}; see {attempt.page}.")


def _no_revision(_: Any, attempt: Attempt) -> Failed:
    text = f"{attempt.source} has no revision {attempt.revision}. Correct the model's `revision`."
    return Failed(reason="not_found", message=text)


def _no_file(_: Any, attempt: Attempt) -> Failed:
    text = f"The hub no longer has a file of {attempt.source} that it listed a moment ago. Try again."
    return Failed(reason="not_found", message=text)


def _no_repository(_: Any, attempt: Attempt) -> Failed:
    private = "use a token that has access" if attempt.token else attempt.give
    text = f"The hub has no {attempt.source}, or it is private. Correct the model's `source`, or {private}."
    return Failed(reason="not_found", message=text)


def _no_name(_: Any, attempt: Attempt) -> Failed:
    text = f"{attempt.source} is not the name of a repository (`org/name`). Correct the model's `source`."
    return Failed(reason="not_found", message=text)


def _offline(_: Any, __: Attempt) -> Failed:
    text = "HF_HUB_OFFLINE is set, so nothing is downloaded. Unset it and try again."
    return Failed(reason="unreachable", message=text)


def _refused(error: Any, attempt: Attempt) -> Failed:
    response = error.response
    status, after = response.status_code, retry_after(error)
    said = (response.headers.get("x-error-message") or response.reason_phrase)[:LONGEST_QUOTE]
    if status == 429:
        text = "The hub has received too many requests from this address. Try again later; with a token it allows more."
        return Failed(reason="rate_limited", message=text, retry_after=after)
    if status == 407 or "text/html" in response.headers.get("content-type", ""):
        text = (
            f"A proxy or another program at {_host(response.url)} answered {status} instead of the hub. Check "
            "HF_ENDPOINT and the proxy settings."
        )
        return Failed(reason="not_the_hub", message=text)
    if status in (401, 403):
        text = f"The hub does not let this token read {attempt.source} ({said}). To use another one, {attempt.give}."
        return Failed(reason="token_refused", message=text)
    text = f"The hub answered {status} ({said}). Try again later."
    return Failed(reason="unreachable", message=text, retry_after=after)


def _unreachable(error: Any, _: Attempt) -> Failed:
    host = urlsplit(constants.ENDPOINT).netloc
    with suppress(RuntimeError):  # it was not told of any request
        host = _host(error.request.url)
    why = "no data for too long" if isinstance(error, httpx2.TimeoutException) else str(error)
    why = why[:LONGEST_QUOTE] or type(error).__name__
    text = f"Cannot reach {host}: {why}. What has arrived is kept, and the next try continues from there."
    if isinstance(error, httpx2.ProxyError):
        text = f"The proxy cannot reach {host}: {why}."
    closed = NETWORK_CLOSED if "INVOCATION_ID" in os.environ else ""  # systemd.exec(5)
    return Failed(reason="unreachable", message=text + closed)


def _disk(error: Any, _: Attempt) -> Failed:
    place = f" ({error.filename})" if error.filename else ""
    if error.errno in FULL:
        text = (
            f"The disk is full{place}. Free some space, for example with `sparkctl rm MODEL`, and try again."
        )
        return Failed(reason="disk_full", message=text)
    return Failed(reason="disk", message=f"Cannot write the files{place}: {error.strerror or error}.")


def _host(url: httpx2.URL) -> str:
    return f"{url.host}:{url.port}" if url.port else url.host


EXPLAINED: Final[tuple[tuple[type[Exception], Callable[[Any, Attempt], Failed]], ...]] = (
    (FetchFailed, _ours),
    (GatedRepoError, _gated),
    (DisabledRepoError, _disabled),
    (RevisionNotFoundError, _no_revision),
    (RemoteEntryNotFoundError, _no_file),
    (RepositoryNotFoundError, _no_repository),
    (HFValidationError, _no_name),
    (OfflineModeIsEnabled, _offline),
    (HfHubHTTPError, _refused),
    (httpx2.TransportError, _unreachable),
    (httpx2.RequestError, _not_the_hub),
    (httpx2.InvalidURL, _not_the_hub),
    (OSError, _disk),
)
"""By kind, the special before the general: many of the library's are others' children, and children of OSError."""
