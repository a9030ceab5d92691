"""Downloads what models need: lists the files on the hub, checks the disk, downloads in parallel, verifies.

Engines see the change in one step at the end, when everything is complete: `refs/<revision>` is written last.
Only the download process imports this.
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
from sparkd.errors import DownloadFailed
from sparkd.hub import encodings, layout
from sparkd.hub.encodings import PUBLISHED, PublishedFile
from sparkd.hub.listing import ListedFile, Listing, load_listing
from sparkd.hub.messages import INTERVAL, DownloadStep, Progress
from sparkd.hub.needs import Need
from sparkd.hub.selection import list_quantisations, select_files
from sparkd.hub.transfer import CHUNK_SIZE, RemoteFile, Stopped, transfer

PARALLEL: Final = 6
"""Files at once: one connection rarely fills a home line, and many small files wait for responses."""

MIN_FREE: Final = GIB
"""Bytes to keep free on the disk."""

WINDOW: Final = 20.0
"""Seconds over which the speed is measured."""

LISTING_TIMEOUT: Final = 30.0
"""Seconds without data after which the hub counts as unreachable: listing 100,000 files takes it some time."""


class Meter:
    """Counts bytes from several threads and reports the progress."""

    def __init__(self, report: Callable[[Progress], None]) -> None:
        self.step: DownloadStep = "listing"
        self.source = ""
        self.total = 0
        self.done = 0
        self.downloaded = 0
        self._report = report
        self._lock = threading.Lock()
        self._past: deque[tuple[float, int]] = deque()

    def add(self, count: int) -> None:
        """Count bytes that are on disk."""
        with self._lock:
            self.done += count

    def add_downloaded(self, count: int) -> None:
        """Count bytes that have just been downloaded."""
        with self._lock:
            self.done += count
            self.downloaded += count

    def begin(self, step: DownloadStep, total: int) -> None:
        """Start a step, and its count."""
        self.step, self.total, self.done = step, total, 0
        self._past.clear()

    def report(self) -> None:
        """Report the progress."""
        now, done = time.monotonic(), self.done
        self._past.append((now, done))
        while now - self._past[0][0] > WINDOW:
            self._past.popleft()
        (then, before), seconds_left = self._past[0], None
        if done > before and now > then:
            seconds_left = (self.total - done) * (now - then) / (done - before)
        self._report(
            Progress(
                step=self.step, source=self.source, done=done, total=self.total, seconds_left=seconds_left
            )
        )


class Downloader:
    """Downloads into one folder `paths.models`. Raises DownloadFailed, and errors of the library and the disk."""

    def __init__(self, models: Path, token: str | None, meter: Meter) -> None:
        self._models = models
        self._token = token or False  # False: the library must not look for another token
        self._meter = meter
        self._api = HfApi(token=self._token, library_name="sparkd", library_version=__version__)
        self._headers = build_hf_headers(
            token=self._token, library_name="sparkd", library_version=__version__
        )

    def list_files(self, need: Need) -> Listing:
        """List the files of a repository on the hub, limited to the needed ones."""
        revision = need.revision or layout.MAIN
        info = self._api.model_info(
            need.source, revision=revision, files_metadata=True, timeout=LISTING_TIMEOUT
        )
        found = []
        for file in info.siblings or ():
            digest, size = (file.lfs.sha256, file.lfs.size) if file.lfs else (file.blob_id, file.size)
            names = _is_digest(info.sha) and _is_digest(digest) and _is_inside(file.rfilename)
            if size is None or not names or digest is None:
                raise ValueError(f"a listing without sizes and digests, or with odd names: {file!r}")
            found.append(ListedFile(path=file.rfilename, size=size, blob=digest, lfs=file.lfs is not None))
        if not (files := select_files(found, consolidated=need.consolidated)) or info.sha is None:
            raise DownloadFailed(f"{need.source} has no files that an engine can load.", reason="not_found")
        if len(choice := list_quantisations(files)) > 1:
            raise DownloadFailed(
                f"{need.source} has GGUF weights in {len(choice)} quantisations, such as {choice[0]}, and sparkd does "
                "not choose one. Download the file you want and name it as the model's `source`.",
                reason="ambiguous",
            )
        return Listing(source=need.source, revision=revision, commit=info.sha, files=files)

    def check_space(self, listings: Iterable[Listing], encodings_left: int) -> None:
        """Raise DownloadFailed if the disk has no space for the missing files."""
        self._models.mkdir(parents=True, exist_ok=True)
        needed = sum(listing.bytes_left(self._models) for listing in listings) + encodings_left
        filesystem = os.statvfs(self._models)
        free = filesystem.f_bavail * filesystem.f_frsize
        if needed and needed + MIN_FREE > free:
            raise DownloadFailed(
                f"The disk of {self._models} is too small: the download needs {needed / GIB:.1f} GiB and "
                f"{MIN_FREE / GIB:.0f} GiB must stay free, but only {free / GIB:.1f} GiB are free. Free "
                f"{(needed + MIN_FREE - free) / GIB:.1f} GiB more, for example with `sparkctl rm MODEL`.",
                reason="disk_full",
            )

    def verify(self, listing: Listing) -> list[str]:
        """Read every file again. Remove files with a wrong digest, and return their names."""
        snapshot = listing.snapshot(self._models)
        present = [file for file in listing.files if (snapshot / file.path).is_file()]
        self._meter.begin("verifying", sum(file.size for file in present))
        return [
            name
            for name in self._run_all(partial(self._verify_file, listing, file) for file in present)
            if name
        ]

    def download(self, listing: Listing) -> None:
        """Download the missing files."""
        listing.save(self._models)
        stop = threading.Event()
        blobs = layout.repository_folder(self._models, listing.source) / "blobs"
        blobs.mkdir(parents=True, exist_ok=True)
        missing = listing.find_missing(self._models)
        self._meter.begin("downloading", listing.size)
        self._meter.add(listing.size - sum(file.size for file in missing))
        largest_first = sorted(missing, key=lambda file: -file.size)
        unique = {file.blob: file for file in reversed(largest_first)}  # the same content is downloaded once
        self._run_all(
            (partial(self._download_file, listing, file, blobs, stop) for file in unique.values()), stop
        )
        for file in listing.find_missing(self._models):
            _link(listing.snapshot(self._models) / file.path, blobs / file.blob)
        os.sync()  # after a power cut, a reference to empty files would look complete
        if listing.revision != listing.commit:
            layout.write_atomically(blobs.parent / "refs" / listing.revision, listing.commit.encode())

    def download_encodings(
        self, names: Sequence[str], base: str, published: Mapping[str, PublishedFile] = PUBLISHED
    ) -> None:
        """Download encodings of tiktoken from the address `base`."""
        self._meter.begin("downloading", sum(published[name].size for name in names))
        for name in names:
            file, known = encodings.encoding_path(name, self._models), published[name]
            file.parent.mkdir(parents=True, exist_ok=True)
            self._meter.source = file.name
            self._meter.report()
            url = f"{base.rstrip('/')}/{file.name}"
            remote = RemoteFile(url, {}, file.name, known.size, known.digest, sha256=True)
            transfer(remote, file, self._meter, threading.Event())

    def _download_file(self, listing: Listing, file: ListedFile, blobs: Path, stop: threading.Event) -> None:
        url = hf_hub_url(listing.source, file.path, revision=listing.commit)
        remote = RemoteFile(url, self._headers, file.path, file.size, file.blob, sha256=file.lfs)
        blob = blobs / file.blob
        if blob.is_file() and _compute_digest(blob, remote) == file.blob:
            self._meter.add(file.size)
        else:
            transfer(remote, blob, self._meter, stop)
        _link(listing.snapshot(self._models) / file.path, blob)

    def _verify_file(self, listing: Listing, file: ListedFile) -> str | None:
        path = listing.snapshot(self._models) / file.path
        remote = RemoteFile("", {}, file.path, file.size, file.blob, sha256=file.lfs)
        if _compute_digest(path, remote, self._meter.add) == file.blob:
            return None
        blob = path.resolve()
        if blob.is_relative_to(layout.repository_folder(self._models, listing.source).resolve()):
            # Otherwise a user has linked their own file here, which sparkd must not remove.
            blob.unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        return file.path

    def _run_all(
        self, jobs: Iterable[Callable[[], str | None]], stop: threading.Event | None = None
    ) -> list[str | None]:
        """Run jobs in parallel and report their progress. The first failure ends all of them."""
        with ThreadPoolExecutor(PARALLEL) as pool:
            running = [pool.submit(job) for job in jobs]
            waited = set(running)
            while waited:
                done, waited = wait(waited, INTERVAL, FIRST_EXCEPTION)
                self._meter.report()
                errors = [error for future in done if (error := future.exception())]
                if failed := [error for error in errors if not isinstance(error, Stopped)]:
                    if stop is not None:
                        stop.set()
                    pool.shutdown(cancel_futures=True)
                    raise failed[0]
        return [future.result() for future in running]


@contextmanager
def exclusive_download(models: Path, source: str, meter: Meter) -> Iterator[None]:
    """Hold the lock of this repository. While another process holds it, report that one's progress. Raises OSError."""
    descriptor = layout.open_lock(models, source)
    try:
        while True:
            with suppress(BlockingIOError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            if listing := load_listing(models, source, None):
                meter.step, meter.total = "waiting", listing.size
                meter.done = listing.size - listing.bytes_left(models)
            meter.report()
            time.sleep(INTERVAL)
        yield
    finally:
        os.close(descriptor)


def _is_digest(text: str | None) -> bool:
    """Whether it is a digest in hexadecimal, because digests become names of files."""
    return text is not None and re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", text) is not None


def _is_inside(path: str) -> bool:
    return bool(path) and not path.startswith("/") and ".." not in PurePosixPath(path).parts


def _compute_digest(path: Path, remote: RemoteFile, count: Callable[[int], None] = lambda _: None) -> str:
    hasher = remote.hasher()
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(CHUNK_SIZE):
            hasher.update(chunk)
            count(len(chunk))
    digest: str = hasher.hexdigest()
    return digest


def _link(path: Path, blob: Path) -> None:
    """Make `path` a relative link to the blob, as the hub's library does, in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    new.symlink_to(os.path.relpath(blob, path.parent))
    new.replace(path)
