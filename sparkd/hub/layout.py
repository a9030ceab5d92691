"""Where models lie below `paths.models`: Hugging Face's cache, which engines read, and what sparkd notes about it.

    huggingface/hub/models--org--name/
        refs/main                   the commit that `main` was when it was fetched, whole
        snapshots/<commit>/…        the repository's files: links to
        blobs/<etag>                LFS files by their SHA-256, others by git's SHA-1; `.incomplete` while they arrive
    downloads/models--org--name.lock            held by the process that fetches it
    downloads/models--org--name/<commit>.json   what the hub listed: names, sizes, digests
    encodings/<name>.tiktoken

https://huggingface.co/docs/huggingface_hub/guides/manage-cache has the first part.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

INCOMPLETE: Final = ".incomplete"
"""Ending of a blob that is not all there."""

MAIN: Final = "main"
"""The revision of a source that names none."""

PREFIX: Final = "models--"


def cache(models: Path) -> Path:
    """The Hugging Face cache: one folder a repository."""
    return models / "huggingface" / "hub"


def encodings(models: Path) -> Path:
    """The folder of tiktoken's encodings."""
    return models / "encodings"


def folder_name(source: str) -> str:
    """The folder of the repository `org/name` in the cache."""
    return PREFIX + source.replace("/", "--")


def repository(models: Path, source: str) -> Path:
    """Where the repository `org/name` is, or would be."""
    return cache(models) / folder_name(source)


def notes(models: Path, source: str) -> Path:
    """The folder with what the hub listed of a repository."""
    return models / "downloads" / folder_name(source)


def lock_file(models: Path, source: str) -> Path:
    """What whoever fetches or removes the repository holds a lock on."""
    return models / "downloads" / f"{folder_name(source)}.lock"


def open_lock(models: Path, source: str) -> int:
    """A descriptor of the repository's lock file, made where there is none. Raises OSError, also for a link."""
    path = lock_file(models, source)
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)


def write(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, where it may be read meanwhile. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    new.write_bytes(data)
    new.replace(path)


def commit_of(folder: Path, revision: str | None) -> str | None:
    """The commit that a repository's `revision` (branch, tag or commit) is on this disk, None where it is not."""
    wanted = revision or MAIN
    with suppress(OSError, UnicodeDecodeError):
        if commit := (folder / "refs" / wanted).read_text().strip():
            return commit
    return wanted if (folder / "snapshots" / wanted).is_dir() else None


def is_being_fetched(models: Path, source: str) -> bool:
    """Whether some process, of this user or another, fetches the repository now."""
    try:
        descriptor = os.open(lock_file(models, source), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
