"""Takes a model's repository off the disk."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from pathlib import Path
from typing import Final

from sparkd.errors import FetchFailed, FilesInUse, InvalidRequest
from sparkd.hub import layout
from sparkd.machine.disk import held

PATIENCE: Final = 2.0
RETRY: Final = 0.02
"""Seconds: who only looks whether the repository is being fetched holds its lock too, for some microseconds."""

LEAVING: Final = ".removing-"
"""What a repository is called while it goes: one that is half gone must not look like one that is half there."""


def remove(source: str, models: Path) -> int:
    """Remove the repository `source` and what was noted about it; return the bytes that were freed.

    Raises InvalidRequest for a folder of somebody's own, FilesInUse while it is being fetched, FetchFailed where the
    disk does not let us. Blocks.
    """
    if source.startswith("/"):
        raise InvalidRequest(f"{source} is your own folder, not a download of sparkd's. Remove it yourself.")
    folder = layout.repository(models, source)
    if not folder.exists():
        return 0
    try:
        return _removed(folder, source, models)
    except OSError as error:
        raise FetchFailed(f"Cannot remove {folder}: {error.strerror}.", reason="disk") from error


def _removed(folder: Path, source: str, models: Path) -> int:
    descriptor = layout.open_lock(models, source)
    try:
        _lock(descriptor, source)
        freed = held(folder)
        folder.rename(folder.with_name(f"{LEAVING}{folder.name}"))
        for left in folder.parent.glob(f"{LEAVING}*"):
            left.unlink() if left.is_symlink() else shutil.rmtree(left)
        shutil.rmtree(layout.notes(models, source), ignore_errors=True)
        shutil.rmtree(folder.parent / ".locks" / folder.name, ignore_errors=True)
        return freed
    finally:
        os.close(descriptor)


def _lock(descriptor: int, source: str) -> None:
    until = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > until:
                raise FilesInUse(
                    f"{source} is being downloaded. Stop the download first.", param="model"
                ) from error
            time.sleep(RETRY)
        else:
            return
