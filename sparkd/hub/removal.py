"""Removes a model's repository from the disk."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from pathlib import Path
from typing import Final

from sparkd.errors import DownloadFailed, FilesInUse, InvalidRequest
from sparkd.hub import layout
from sparkd.machine.disk import disk_usage

LOCK_TIMEOUT: Final = 2.0
LOCK_RETRY_INTERVAL: Final = 0.02
"""Seconds: a process that only checks for a running download holds the lock too, for some microseconds."""

REMOVING_PREFIX: Final = ".removing-"
"""Prefix of a repository during its removal: it must not look like an incomplete download."""


def remove(source: str, models: Path) -> int:
    """Remove the repository `source` and sparkd's notes about it. Return the freed bytes.

    Raises InvalidRequest for a user's own folder, FilesInUse during a download, and DownloadFailed for errors of the
    disk. Blocks.
    """
    if source.startswith("/"):
        raise InvalidRequest(f"{source} is your own folder, not a download of sparkd's. Remove it yourself.")
    folder = layout.repository_folder(models, source)
    if not folder.exists():
        return 0
    try:
        return _remove_locked(folder, source, models)
    except OSError as error:
        raise DownloadFailed(f"Cannot remove {folder}: {error.strerror}.", reason="disk") from error


def _remove_locked(folder: Path, source: str, models: Path) -> int:
    descriptor = layout.open_lock(models, source)
    try:
        _lock(descriptor, source)
        freed = disk_usage(folder)
        folder.rename(folder.with_name(f"{REMOVING_PREFIX}{folder.name}"))
        for left in folder.parent.glob(f"{REMOVING_PREFIX}*"):
            left.unlink() if left.is_symlink() else shutil.rmtree(left)
        shutil.rmtree(layout.listings_folder(models, source), ignore_errors=True)
        shutil.rmtree(folder.parent / ".locks" / folder.name, ignore_errors=True)
        return freed
    finally:
        os.close(descriptor)


def _lock(descriptor: int, source: str) -> None:
    until = time.monotonic() + LOCK_TIMEOUT
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > until:
                raise FilesInUse(
                    f"{source} is being downloaded. Stop the download first.", param="model"
                ) from error
            time.sleep(LOCK_RETRY_INTERVAL)
        else:
            return
