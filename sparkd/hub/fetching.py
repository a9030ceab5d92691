"""Fetches what models need: asks the hub what there is, looks whether the disk has room, fetches in parallel, verifies.

What engines see changes in one step at the end, when all is there: `refs/<revision>` is written last.
Only the process that fetches imports this.
"""

from __future__ import annotations

import fcntl
import os
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Final

from huggingface_hub import HfApi, hf_hub_url
from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # documented there

from sparkd import __version__
from sparkd.catalog.quantities import GIB
from sparkd.errors import FetchFailed
from sparkd.hub import encodings, layout
from sparkd.hub.encodings import PUBLISHED, Published
from sparkd.hub.listing import ListedFile, Listing, kept
from sparkd.hub.needs import Need
from sparkd.hub.selection import quantisations, selected
from sparkd.hub.telling import INTERVAL, Progress, Step
from sparkd.hub.transfer import PIECE, Remote, Stopped, transfer

PARALLEL: Final = 6
"""Files at once: one connection rarely fills a home line, and many small files wait for answers."""

SPARE: Final = GIB
"""Bytes that stay free on the disk."""

WINDOW: Final = 20.0
"""Seconds over which the speed is taken."""

LISTING_TIMEOUT: Final = 30.0
"""Seconds of silence after which the hub is told to be unreachable: a listing of 100,000 files takes it some."""


class Meter:
    """Counts bytes, from several threads, and tells how far it is."""

    def __init__(self, tell: Callable[[Progress], None]) -> None:
        self.step: Step = "asking"
        self.source = ""
        self.total = 0
        self.done = 0
        self.fetched = 0
        self._tell = tell
        self._lock = threading.Lock()
        self._past: deque[tuple[float, int]] = deque()

    def add(self, count: int) -> None:
        """Bytes that are there now."""
        with self._lock:
            self.done += count

    def arrived(self, count: int) -> None:
        """Bytes that are there now and were not before."""
        with self._lock:
            self.done += count
            self.fetched += count

    def begin(self, step: Step, total: int) -> None:
        """What is counted from here on."""
        self.step, self.total, self.done = step, total, 0
        self._past.clear()

    def tell(self) -> None:
        """Tell how far it is."""
        now, done = time.monotonic(), self.done
        self._past.append((now, done))
        while now - self._past[0][0] > WINDOW:
            self._past.popleft()
        (then, before), left = self._past[0], None
        if done > before and now > then:
            left = (self.total - done) * (now - then) / (done - before)
        self._tell(Progress(step=self.step, source=self.source, done=done, total=self.total, left=left))


class Fetcher:
    """Fetches into one folder `paths.models`. Everything raises FetchFailed, or as the library and the disk do."""

    def __init__(self, models: Path, token: str | None, meter: Meter) -> None:
        self._models = models
        self._token = token or False  # False: no other token than the one we were given
        self._meter = meter
        self._api = HfApi(token=self._token, library_name="sparkd", library_version=__version__)
        self._headers = build_hf_headers(
            token=self._token, library_name="sparkd", library_version=__version__
        )

    def ask(self, need: Need) -> Listing:
        """What the hub has of it now, of that what is needed."""
        revision = need.revision or layout.MAIN
        told = self._api.model_info(
            need.source, revision=revision, files_metadata=True, timeout=LISTING_TIMEOUT
        )
        found = []
        for file in told.siblings or ():
            digest, size = (file.lfs.sha256, file.lfs.size) if file.lfs else (file.blob_id, file.size)
            names = _digest_like(told.sha) and _digest_like(digest) and _is_inside(file.rfilename)
            if size is None or not names or digest is None:
                raise ValueError(f"a listing without sizes and digests, or with odd names: {file!r}")
            found.append(ListedFile(path=file.rfilename, size=size, blob=digest, lfs=file.lfs is not None))
        if not (files := selected(found, consolidated=need.consolidated)) or told.sha is None:
            raise FetchFailed(f"{need.source} has no files that an engine can load.", reason="not_found")
        if len(choice := quantisations(files)) > 1:
            raise FetchFailed(
                f"{need.source} has GGUF weights in {len(choice)} quantisations, such as {choice[0]}, and sparkd does "
                "not choose one. Download the file you want and name it as the model's `source`.",
                reason="ambiguous",
            )
        return Listing(source=need.source, revision=revision, commit=told.sha, files=files)

    def check_room(self, listings: Iterable[Listing], encodings_left: int) -> None:
        """Raise FetchFailed where the disk has no room for what is missing."""
        self._models.mkdir(parents=True, exist_ok=True)
        needed = sum(listing.left(self._models) for listing in listings) + encodings_left
        there = os.statvfs(self._models)
        free = there.f_bavail * there.f_frsize
        if needed and needed + SPARE > free:
            raise FetchFailed(
                f"The disk of {self._models} is too small: the download needs {needed / GIB:.1f} GiB and "
                f"{SPARE / GIB:.0f} GiB must stay free, but only {free / GIB:.1f} GiB are free. Free "
                f"{(needed + SPARE - free) / GIB:.1f} GiB more, for example with `sparkctl rm MODEL`.",
                reason="disk_full",
            )

    def verify(self, listing: Listing) -> list[str]:
        """Read every file again; those with another digest are taken away, and named."""
        snapshot = listing.snapshot(self._models)
        there = [file for file in listing.files if (snapshot / file.path).is_file()]
        self._meter.begin("verifying", sum(file.size for file in there))
        return [name for name in self._all(partial(self._verified, listing, file) for file in there) if name]

    def fetch(self, listing: Listing) -> None:
        """Fetch what is missing of it."""
        listing.keep(self._models)
        stop = threading.Event()
        blobs = layout.repository(self._models, listing.source) / "blobs"
        blobs.mkdir(parents=True, exist_ok=True)
        missing = listing.missing(self._models)
        self._meter.begin("fetching", listing.size)
        self._meter.add(listing.size - sum(file.size for file in missing))
        largest_first = sorted(missing, key=lambda file: -file.size)
        twins = {file.blob: file for file in reversed(largest_first)}  # the same content twice comes once
        self._all((partial(self._bring, listing, file, blobs, stop) for file in twins.values()), stop)
        for file in listing.missing(self._models):
            _link(listing.snapshot(self._models) / file.path, blobs / file.blob)
        os.sync()  # after a power cut, a reference to files that are empty would look whole
        if listing.revision != listing.commit:
            layout.write(blobs.parent / "refs" / listing.revision, listing.commit.encode())

    def fetch_encodings(
        self, names: Sequence[str], base: str, published: Mapping[str, Published] = PUBLISHED
    ) -> None:
        """Fetch encodings of tiktoken from below the address `base`."""
        self._meter.begin("fetching", sum(published[name].size for name in names))
        for name in names:
            file, known = encodings.file_of(name, self._models), published[name]
            file.parent.mkdir(parents=True, exist_ok=True)
            self._meter.source = file.name
            self._meter.tell()
            url = f"{base.rstrip('/')}/{file.name}"
            remote = Remote(url, {}, file.name, known.size, known.digest, sha256=True)
            transfer(remote, file, self._meter, threading.Event())

    def _bring(self, listing: Listing, file: ListedFile, blobs: Path, stop: threading.Event) -> None:
        url = hf_hub_url(listing.source, file.path, revision=listing.commit)
        remote = Remote(url, self._headers, file.path, file.size, file.blob, sha256=file.lfs)
        blob = blobs / file.blob
        if blob.is_file() and _digest(blob, remote) == file.blob:
            self._meter.add(file.size)
        else:
            transfer(remote, blob, self._meter, stop)
        _link(listing.snapshot(self._models) / file.path, blob)

    def _verified(self, listing: Listing, file: ListedFile) -> str | None:
        path = listing.snapshot(self._models) / file.path
        remote = Remote("", {}, file.path, file.size, file.blob, sha256=file.lfs)
        if _digest(path, remote, self._meter.add) == file.blob:
            return None
        blob = path.resolve()
        if blob.is_relative_to(layout.repository(self._models, listing.source).resolve()):
            blob.unlink(
                missing_ok=True
            )  # else somebody has linked a file of their own: that is not ours to remove
        path.unlink(missing_ok=True)
        return file.path

    def _all(
        self, jobs: Iterable[Callable[[], str | None]], stop: threading.Event | None = None
    ) -> list[str | None]:
        """Do them in parallel and tell how far they are; the first failure ends all."""
        with ThreadPoolExecutor(PARALLEL) as pool:
            running = [pool.submit(job) for job in jobs]
            waited = set(running)
            while waited:
                done, waited = wait(waited, INTERVAL, FIRST_EXCEPTION)
                self._meter.tell()
                errors = [error for future in done if (error := future.exception())]
                if failed := [error for error in errors if not isinstance(error, Stopped)]:
                    if stop is not None:
                        stop.set()
                    pool.shutdown(cancel_futures=True)
                    raise failed[0]
        return [future.result() for future in running]


@contextmanager
def sole_fetcher(models: Path, source: str, meter: Meter) -> Iterator[None]:
    """Be the only one who fetches this repository; while another does, tell how far that one is. Raises OSError."""
    descriptor = layout.open_lock(models, source)
    try:
        while True:
            with suppress(BlockingIOError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            if listing := kept(models, source, None):
                meter.step, meter.total = "waiting", listing.size
                meter.done = listing.size - listing.left(models)
            meter.tell()
            time.sleep(INTERVAL)
        yield
    finally:
        os.close(descriptor)


def _digest_like(text: str | None) -> bool:
    """Whether it is a digest in hexadecimal: such names become names of files."""
    return text is not None and re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", text) is not None


def _is_inside(path: str) -> bool:
    return bool(path) and not path.startswith("/") and ".." not in PurePosixPath(path).parts


def _digest(path: Path, remote: Remote, count: Callable[[int], None] = lambda _: None) -> str:
    hasher = remote.hasher()
    with path.open("rb", buffering=0) as file:
        while piece := file.read(PIECE):
            hasher.update(piece)
            count(len(piece))
    digest: str = hasher.hexdigest()
    return digest


def _link(path: Path, blob: Path) -> None:
    """Have `path` lead to the blob, as the hub's library does: by a relative link, replaced in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    new.symlink_to(os.path.relpath(blob, path.parent))
    new.replace(path)
