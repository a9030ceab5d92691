"""Replaces files whole, one process at a time."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def exclusive_lock(folder: Path) -> Iterator[int]:
    """Hold a lock: two valid drop-ins may be invalid together, so they are tried and written one at a time."""
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        yield directory
    finally:
        os.close(directory)


def replace_file(file: Path, data: bytes, mode: int | None = None) -> None:
    """Write a file, or replace it and keep its mode and owner. A crash at any moment leaves the old or the new file.

    `mode` is that of a new file, by default what the umask leaves. Raises OSError. The caller holds a lock if several
    processes may write the file.
    """
    # Always the same name, under the lock: a file that a crash left is overwritten, so they do not accumulate. The name
    # begins with a dot, so it is not read as a drop-in.
    new = file.with_name(f".{file.name}.new")
    try:
        with new.open("wb") as opened:
            _keep_permissions(opened.fileno(), file, mode)
            opened.write(data)
            opened.flush()
            os.fsync(opened.fileno())
        new.replace(file)
    finally:
        new.unlink(missing_ok=True)


def _keep_permissions(new: int, file: Path, mode: int | None) -> None:
    """Give the open file `new` the owner and the mode of `file`, because a file with a token must keep them."""
    try:
        old = file.stat()
    except FileNotFoundError:
        if mode is not None:
            os.fchmod(new, mode)
        return
    now = os.fstat(new)
    if (now.st_uid, now.st_gid) != (old.st_uid, old.st_gid):
        os.fchown(new, old.st_uid, old.st_gid)  # before the mode: a change of the owner clears some bits
    os.fchmod(new, stat.S_IMODE(old.st_mode))
