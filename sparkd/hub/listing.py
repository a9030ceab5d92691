"""The hub's list of a repository's files, stored so that sparkd knows the files of a model without the hub."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from sparkd.hub.layout import INCOMPLETE, listings_folder, repository_folder, write_atomically
from sparkd.hub.weights import UNREADABLE


class ListedFile(Struct, frozen=True, kw_only=True):
    """One file. `blob` is its digest and the name of its blob: SHA-256 for LFS files, git's SHA-1 for others."""

    path: str
    size: int
    blob: str
    lfs: bool


class Listing(Struct, frozen=True, kw_only=True):
    """The files of one commit that an engine needs. `revision` is the requested one."""

    source: str
    revision: str
    commit: str
    files: tuple[ListedFile, ...]

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return sum(file.size for file in self.files)

    def snapshot(self, models: Path) -> Path:
        """The folder from which engines read them."""
        return repository_folder(models, self.source) / "snapshots" / self.commit

    def find_missing(self, models: Path) -> list[ListedFile]:
        """The files that are missing or too short."""
        snapshot = self.snapshot(models)
        return [file for file in self.files if _size(snapshot / file.path) != file.size]

    def bytes_left(self, models: Path) -> int:
        """The bytes still to download, not counting the parts that have arrived."""
        blobs = repository_folder(models, self.source) / "blobs"
        found = 0
        for file in {file.blob: file for file in self.find_missing(models)}.values():
            part = max(_size(blobs / file.blob), _size(blobs / (file.blob + INCOMPLETE)), 0)
            found += file.size - min(part, file.size)
        return found

    def save(self, models: Path) -> None:
        """Store it atomically. Raises OSError."""
        write_atomically(
            listings_folder(models, self.source) / f"{self.commit}.json", msgspec.json.encode(self)
        )


def load_listing(models: Path, source: str, commit: str | None) -> Listing | None:
    """The stored list of that commit. None for `commit`: the list of the latest download."""
    folder = listings_folder(models, source)
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
    """The bytes of a file, -1 if it does not exist or is a broken link."""
    try:
        return path.stat().st_size
    except OSError:
        return -1
