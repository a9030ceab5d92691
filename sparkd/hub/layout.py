"""The layout of models below `paths.models`: Hugging Face's cache, which engines read, and sparkd's notes about it.

    huggingface/hub/models--org--name/
        refs/main                   the commit of `main` when it was downloaded completely
        snapshots/<commit>/…        the repository's files: links to
        blobs/<etag>                LFS files by SHA-256, others by git's SHA-1; `.incomplete` during the download
    downloads/models--org--name.lock            held by the process that downloads it
    downloads/models--org--name/<commit>.json   the list of files on the hub: names, sizes, digests
    encodings/<name>.tiktoken

https://huggingface.co/docs/huggingface_hub/guides/manage-cache describes the first part.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

INCOMPLETE: Final = ".incomplete"
"""Suffix of a blob that is not complete."""

MAIN: Final = "main"
"""The revision of a source that sets none."""

PREFIX: Final = "models--"


def cache_folder(models: Path) -> Path:
    """The Hugging Face cache: one folder per repository."""
    return models / "huggingface" / "hub"


def encodings_folder(models: Path) -> Path:
    """The folder of tiktoken's encodings."""
    return models / "encodings"


def repository_name(source: str) -> str:
    """The folder of the repository `org/name` in the cache."""
    return PREFIX + source.replace("/", "--")


def repository_folder(models: Path, source: str) -> Path:
    """The folder of the repository `org/name`, whether it exists or not."""
    return cache_folder(models) / repository_name(source)


def listings_folder(models: Path, source: str) -> Path:
    """The folder with the hub's lists of a repository's files."""
    return models / "downloads" / repository_name(source)


def lock_file(models: Path, source: str) -> Path:
    """The lock file for downloading and removing the repository."""
    return models / "downloads" / f"{repository_name(source)}.lock"


def open_lock(models: Path, source: str) -> int:
    """Open the repository's lock file, and create it if needed. Raises OSError, also for a link."""
    path = lock_file(models, source)
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file atomically: readers see the old file or the new one. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    new.write_bytes(data)
    new.replace(path)


def read_commit(folder: Path, revision: str | None) -> str | None:
    """The commit on disk for a repository's `revision` (branch, tag or commit), None if there is none."""
    wanted = revision or MAIN
    with suppress(OSError, UnicodeDecodeError):
        if commit := (folder / "refs" / wanted).read_text().strip():
            return commit
    return wanted if (folder / "snapshots" / wanted).is_dir() else None


def is_downloading(models: Path, source: str) -> bool:
    """Whether a process of any user is downloading the repository now."""
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
