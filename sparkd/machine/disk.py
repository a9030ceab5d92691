"""Measures how much disk space folders use, and how much is left."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from msgspec import Struct

BLOCK: Final = 512
"""Bytes of a block in st_blocks, on every file system: stat(3type)."""


def disk_usage(folder: Path) -> int:
    """Return the bytes that the files below a folder use. Links, unreadable files and files that are removed meanwhile
    count as 0."""
    total = 0
    for folder_path, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                # A string, because a virtualenv has 40,000 files: a Path for each takes noticeably longer.
                status = os.lstat(f"{folder_path}/{name}")
                total += status.st_blocks * BLOCK if stat.S_ISREG(status.st_mode) else 0
    return total


class DiskSpace(Struct, frozen=True):
    """The file system of a folder, in bytes. `available` is what programs without privileges may still write."""

    total: int
    available: int


def disk_space(folder: Path) -> DiskSpace | None:
    """Return the space of the file system that the folder is on, or will be. None if that cannot be found out.

    Waits for the file system, which may be a network drive.
    """
    for path in (folder, *folder.parents):
        try:
            found = os.statvfs(path)
        except FileNotFoundError:
            continue
        except OSError:
            return None
        return DiskSpace(found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize)
    return None
