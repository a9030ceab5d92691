"""What the hub listed of a repository, kept: so that without it, too, sparkd knows what belongs to a model."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from sparkd.hub.layout import INCOMPLETE, notes, repository, write
from sparkd.hub.weights import UNREADABLE


class ListedFile(Struct, frozen=True, kw_only=True):
    """One file: its bytes, and its digest, which is its blob's name: SHA-256 of an LFS file, git's SHA-1 of others."""

    path: str
    size: int
    blob: str
    lfs: bool


class Listing(Struct, frozen=True, kw_only=True):
    """The files of one commit that an engine needs. `revision` is what was asked for."""

    source: str
    revision: str
    commit: str
    files: tuple[ListedFile, ...]

    @property
    def size(self) -> int:
        """Bytes of all of them."""
        return sum(file.size for file in self.files)

    def snapshot(self, models: Path) -> Path:
        """Where engines look for them."""
        return repository(models, self.source) / "snapshots" / self.commit

    def missing(self, models: Path) -> list[ListedFile]:
        """Those that are not there in their full length."""
        snapshot = self.snapshot(models)
        return [file for file in self.files if _size(snapshot / file.path) != file.size]

    def left(self, models: Path) -> int:
        """Bytes still to be fetched: what has arrived of a file counts."""
        blobs = repository(models, self.source) / "blobs"
        found = 0
        for file in {file.blob: file for file in self.missing(models)}.values():
            part = max(_size(blobs / file.blob), _size(blobs / (file.blob + INCOMPLETE)), 0)
            found += file.size - min(part, file.size)
        return found

    def keep(self, models: Path) -> None:
        """Write it down, whole or not at all. Raises OSError."""
        write(notes(models, self.source) / f"{self.commit}.json", msgspec.json.encode(self))


def kept(models: Path, source: str, commit: str | None) -> Listing | None:
    """What was listed of that commit; None for `commit`: of the one whose fetching began last."""
    folder = notes(models, source)
    with suppress(OSError, *UNREADABLE):
        if commit is None:
            files = [entry for entry in os.scandir(folder) if entry.name.endswith(".json")]
            if not files:
                return None
            path = Path(max(files, key=lambda entry: entry.stat().st_mtime_ns).path)
        else:
            path = folder / f"{commit}.json"
        return msgspec.json.decode(path.read_bytes(), type=Listing)
    return None


def _size(path: Path) -> int:
    """Bytes of the file, -1 where there is none, or a link to none."""
    try:
        return path.stat().st_size
    except OSError:
        return -1
