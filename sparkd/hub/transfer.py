"""Downloads one file from the hub into the cache: resumes where it stopped, and checks its digest.

The library's own download starts again after each interruption, which takes too long for files of 5 GB on a home line.
Only the download process imports this.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, Protocol

import httpx2
from huggingface_hub import constants, get_session
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import hf_raise_for_status  # type: ignore[attr-defined]  # documented there

from sparkd.errors import DownloadFailed
from sparkd.hub.layout import INCOMPLETE

CHUNK_SIZE: Final = 1 << 20
"""Bytes to read, hash and write at a time."""

MAX_ATTEMPTS: Final = 5
"""Attempts in a row without data before the download of a file fails."""

RETRIED_STATUSES: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Status codes after which a retry may succeed."""

MAX_PAUSE: Final = 60.0
"""The most seconds of Retry-After to wait. For longer ones, the download fails and reports it."""

MAX_RETRY_AFTER: Final = 3600.0
"""The most seconds of Retry-After to report: a hub that says a year must not block a model for a year."""


class Stopped(Exception):
    """Another file has failed, so this download ends too."""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file on the hub: its URL, size, digest (git's unless `sha256`), and its name for people."""

    url: str
    headers: Mapping[str, str]
    name: str
    size: int
    digest: str
    sha256: bool

    def hasher(self) -> Any:
        """A hasher for its kind of digest."""
        if self.sha256:
            return hashlib.sha256()
        return hashlib.sha1(b"blob %d\0" % self.size, usedforsecurity=False)


class Counter(Protocol):
    """Counts bytes."""

    def add(self, count: int) -> None:
        """Count bytes on disk; a negative number removes bytes that turned out wrong."""
        ...

    def add_downloaded(self, count: int) -> None:
        """Count bytes that have just been downloaded."""
        ...


def transfer(remote: RemoteFile, blob: Path, counter: Counter, stop: threading.Event) -> None:
    """Download the file into `blob`, and resume an earlier attempt.

    Raises DownloadFailed if its digest is wrong twice, errors of the library and the disk, and Stopped.
    """
    part = blob.with_name(blob.name + INCOMPLETE)
    for _ in range(2):
        with part.open("ab+", buffering=0) as file:
            partial = _PartialFile(remote, file, counter, stop)
            partial.load_existing()
            partial.download_rest()
            if partial.hasher.hexdigest() == remote.digest:
                os.fsync(file.fileno())
                part.replace(blob)
                return
        counter.add(-partial.size)
        part.unlink()
    raise DownloadFailed(
        f"{remote.name} was downloaded twice, and both times its digest is not the one on the hub{partial.hint()}. "
        "Either a proxy changes the data on its way, or the file on the hub is damaged.",
        reason="digest_mismatch",
    )


class _PartialFile:
    """The part of a file that has arrived."""

    def __init__(self, remote: RemoteFile, file: IO[bytes], counter: Counter, stop: threading.Event) -> None:
        self.hasher = remote.hasher()
        self.size = 0
        self._remote = remote
        self._file = file
        self._counter = counter
        self._stop = stop
        self._type = ""

    def load_existing(self) -> None:
        """Read and count the existing part."""
        if os.fstat(self._file.fileno()).st_size > self._remote.size:
            self._file.truncate(0)
        self._file.seek(0)
        while chunk := self._file.read(CHUNK_SIZE):
            self._counter.add(len(chunk))
            self._count(chunk)

    def download_rest(self) -> None:
        """Download the rest, and retry as long as data arrives."""
        failures = 0
        while self.size < self._remote.size:
            before = self.size
            error = self._try_download()
            failures = 0 if self.size > before else failures + 1
            if failures >= MAX_ATTEMPTS:
                if error:
                    raise error
                return  # too short, so its digest will not match
            if self.size < self._remote.size:
                self._stop.wait(max(_retry_pause(error), 2.0 ** (failures - 1)))
            if self._stop.is_set():
                raise Stopped

    def _try_download(self) -> httpx2.TransportError | HfHubHTTPError | None:
        """Make one attempt. Return the error that ended it; raise errors that a retry would not fix."""
        try:
            self._download()
        except httpx2.TransportError as error:
            return error
        except HfHubHTTPError as error:
            if error.response.status_code not in RETRIED_STATUSES or _retry_pause(error) > MAX_PAUSE:
                raise
            return error
        return None

    def hint(self) -> str:
        """A hint, if the response was a web page."""
        return (
            ", and it is a web page"
            if "text/html" in self._type and not self._remote.name.endswith(".html")
            else ""
        )

    def _download(self) -> None:
        with open_url(self._remote.url, self._remote.headers, start=self.size) as response:
            self._type = response.headers.get("content-type", "")
            if self.size and not _is_continued(response, self.size):
                self._restart()
            for chunk in response.iter_bytes():
                if self._stop.is_set():
                    raise Stopped
                wanted = chunk[: self._remote.size - self.size]
                self._write(wanted)
                self._counter.add_downloaded(len(wanted))
                self._count(wanted)
                if len(wanted) < len(chunk):
                    self.hasher.update(b"more than announced")
                    return

    def _write(self, chunk: bytes) -> None:
        """Write everything. A disk that fills up accepts a part without an error; only the next write fails."""
        left = memoryview(chunk)
        while left:
            left = left[self._file.write(left) :]

    def _count(self, chunk: bytes) -> None:
        self.hasher.update(chunk)
        self.size += len(chunk)

    def _restart(self) -> None:
        """Start the file again, because the server did."""
        self._counter.add(-self.size)
        self._file.truncate(0)
        self.hasher, self.size = self._remote.hasher(), 0


@contextmanager
def open_url(url: str, headers: Mapping[str, str], *, start: int = 0) -> Iterator[httpx2.Response]:
    """Open a response whose body starts at byte `start`. Raises errors of the library."""
    wanted = {**headers, "Accept-Encoding": "identity", **({"Range": f"bytes={start}-"} if start else {})}
    timeout = constants.HF_HUB_DOWNLOAD_TIMEOUT
    with get_session().stream("GET", url, headers=wanted, timeout=timeout, follow_redirects=True) as response:
        if response.status_code >= 400:
            response.read()
        hf_raise_for_status(response)
        yield response


def _is_continued(response: httpx2.Response, start: int) -> bool:
    value = response.headers.get("content-range", "")
    return response.status_code == 206 and value.startswith(f"bytes {start}-")


def _retry_pause(error: Exception | None) -> float:
    return (retry_after(error) or 0.0) if isinstance(error, HfHubHTTPError) else 0.0


def retry_after(error: HfHubHTTPError) -> float | None:
    """The seconds in the hub's Retry-After, None without one. RFC 9110, 10.2.3; dates are ignored."""
    value = error.response.headers.get("retry-after", "")
    return min(float(value), MAX_RETRY_AFTER) if value.isascii() and value.isdigit() else None
