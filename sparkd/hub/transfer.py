"""One file's way from the hub into the cache: resumed where it stopped, checked against its digest.

The library's own download begins anew after each interruption; files of 5 GB on a home line must not.
Only the process that fetches imports this.
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

from sparkd.errors import FetchFailed
from sparkd.hub.layout import INCOMPLETE

PIECE: Final = 1 << 20
"""Bytes that are read, hashed and written at a time."""

ATTEMPTS: Final = 5
"""Tries in a row that bring nothing before a file is given up."""

RETRIED: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers after which the same may succeed in a moment."""

LONGEST_PAUSE: Final = 60.0
"""Seconds that Retry-After may ask for and be obeyed; for more, it is the person who is told."""

LONGEST_TOLD: Final = 3600.0
"""Seconds of Retry-After that are believed: a hub that says a year must not keep a model away for one."""


class Stopped(Exception):
    """Another file has failed: this one ends, too."""


@dataclass(frozen=True, slots=True)
class Remote:
    """A file at the hub: where, its bytes, its digest (of git where not `sha256`), and what it is called for people."""

    url: str
    headers: Mapping[str, str]
    name: str
    size: int
    digest: str
    sha256: bool

    def hasher(self) -> Any:
        """What makes a digest like its own."""
        if self.sha256:
            return hashlib.sha256()
        return hashlib.sha1(b"blob %d\0" % self.size, usedforsecurity=False)


class Counter(Protocol):
    """Is told of bytes."""

    def add(self, count: int) -> None:
        """They are there; negative: they were not what they should be."""
        ...

    def arrived(self, count: int) -> None:
        """They are there, and came through the network just now."""
        ...


def transfer(remote: Remote, blob: Path, counter: Counter, stop: threading.Event) -> None:
    """Fetch the file into `blob`, going on with what an earlier try has left.

    Raises FetchFailed where it twice has another digest, what the library and the disk raise, and Stopped.
    """
    part = blob.with_name(blob.name + INCOMPLETE)
    for _ in range(2):
        with part.open("ab+", buffering=0) as file:
            came = _Part(remote, file, counter, stop)
            came.begin()
            came.fill()
            if came.hasher.hexdigest() == remote.digest:
                os.fsync(file.fileno())
                part.replace(blob)
                return
        counter.add(-came.size)
        part.unlink()
    raise FetchFailed(
        f"{remote.name} was downloaded twice, and both times its digest is not the one on the hub{came.looks_like()}. "
        "Either a proxy changes the data on its way, or the file on the hub is damaged.",
        reason="wrong_bytes",
    )


class _Part:
    """What has arrived of a file."""

    def __init__(self, remote: Remote, file: IO[bytes], counter: Counter, stop: threading.Event) -> None:
        self.hasher = remote.hasher()
        self.size = 0
        self._remote = remote
        self._file = file
        self._counter = counter
        self._stop = stop
        self._type = ""

    def begin(self) -> None:
        """Count what is there already."""
        if os.fstat(self._file.fileno()).st_size > self._remote.size:
            self._file.truncate(0)
        self._file.seek(0)
        while piece := self._file.read(PIECE):
            self._counter.add(len(piece))
            self._take(piece)

    def fill(self) -> None:
        """Fetch the rest, with patience as long as something comes."""
        failures = 0
        while self.size < self._remote.size:
            before = self.size
            error = self._tried()
            failures = 0 if self.size > before else failures + 1
            if failures >= ATTEMPTS:
                if error:
                    raise error
                return  # too short for its digest
            if self.size < self._remote.size:
                self._stop.wait(max(_pause(error), 2.0 ** (failures - 1)))
            if self._stop.is_set():
                raise Stopped

    def _tried(self) -> httpx2.TransportError | HfHubHTTPError | None:
        """Fetch what comes at once; return what it ended with, raise what a next try would not mend."""
        try:
            self._fetch()
        except httpx2.TransportError as error:
            return error
        except HfHubHTTPError as error:
            if error.response.status_code not in RETRIED or _pause(error) > LONGEST_PAUSE:
                raise
            return error
        return None

    def looks_like(self) -> str:
        """A hint, where what came was a page for people."""
        return (
            ", and it is a web page"
            if "text/html" in self._type and not self._remote.name.endswith(".html")
            else ""
        )

    def _fetch(self) -> None:
        with opened(self._remote.url, self._remote.headers, start=self.size) as response:
            self._type = response.headers.get("content-type", "")
            if self.size and not _continues(response, self.size):
                self._forget()
            for piece in response.iter_bytes():
                if self._stop.is_set():
                    raise Stopped
                kept = piece[: self._remote.size - self.size]
                self._write(kept)
                self._counter.arrived(len(kept))
                self._take(kept)
                if len(kept) < len(piece):
                    self.hasher.update(b"more than announced")
                    return

    def _write(self, piece: bytes) -> None:
        """A disk that fills up takes a part and says nothing: it is the next write that fails."""
        left = memoryview(piece)
        while left:
            left = left[self._file.write(left) :]

    def _take(self, piece: bytes) -> None:
        self.hasher.update(piece)
        self.size += len(piece)

    def _forget(self) -> None:
        """The server began anew: so does the file."""
        self._counter.add(-self.size)
        self._file.truncate(0)
        self.hasher, self.size = self._remote.hasher(), 0


@contextmanager
def opened(url: str, headers: Mapping[str, str], *, start: int = 0) -> Iterator[httpx2.Response]:
    """An answer whose body can be read, from byte `start` on. Raises as the library does."""
    wanted = {**headers, "Accept-Encoding": "identity", **({"Range": f"bytes={start}-"} if start else {})}
    timeout = constants.HF_HUB_DOWNLOAD_TIMEOUT
    with get_session().stream("GET", url, headers=wanted, timeout=timeout, follow_redirects=True) as response:
        if response.status_code >= 400:
            response.read()
        hf_raise_for_status(response)
        yield response


def _continues(response: httpx2.Response, start: int) -> bool:
    told = response.headers.get("content-range", "")
    return response.status_code == 206 and told.startswith(f"bytes {start}-")


def _pause(error: Exception | None) -> float:
    return (retry_after(error) or 0.0) if isinstance(error, HfHubHTTPError) else 0.0


def retry_after(error: HfHubHTTPError) -> float | None:
    """Seconds the hub asks to be left alone, None where it does not say; RFC 9110, 10.2.3 (a date is not read)."""
    told = error.response.headers.get("retry-after", "")
    return min(float(told), LONGEST_TOLD) if told.isascii() and told.isdigit() else None
