"""Folders that may be another's, or not there yet: what every command may ask of them."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def is_writable(folder: Path) -> bool:
    """Whether this user may write there, and everything would belong to whom it must: its owner, or root for them."""
    existing = nearest_existing(folder)
    return os.geteuid() == 0 or (
        existing.stat().st_uid == os.geteuid() and os.access(existing, os.W_OK | os.X_OK)
    )


def requires_sudo(folder: Path) -> bool:
    """Whether whoever is at the keyboard must say `sudo` to change it: it is another's, or they have said so."""
    return "SUDO_USER" in os.environ or not is_writable(folder)


def free_space(folder: Path) -> int:
    """Bytes free where the folder is, or will be once it is made."""
    filesystem = os.statvfs(nearest_existing(folder))
    return filesystem.f_bavail * filesystem.f_frsize


def nearest_existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    for candidate in (folder, *folder.parents):
        with suppress(OSError):
            if candidate.is_dir():
                return candidate
    return Path("/")
