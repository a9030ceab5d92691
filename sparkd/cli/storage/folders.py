"""Folders that may belong to another user, or not exist yet."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def is_writable(folder: Path) -> bool:
    """Whether this user can write there with the correct owner: as the owner, or as root."""
    existing = nearest_existing(folder)
    return os.geteuid() == 0 or (
        existing.stat().st_uid == os.geteuid() and os.access(existing, os.W_OK | os.X_OK)
    )


def requires_sudo(folder: Path) -> bool:
    """Whether the user needs `sudo` to change it: it belongs to another user, or sudo is in use."""
    return "SUDO_USER" in os.environ or not is_writable(folder)


def free_space(folder: Path) -> int:
    """Free bytes where the folder is, or will be created."""
    filesystem = os.statvfs(nearest_existing(folder))
    return filesystem.f_bavail * filesystem.f_frsize


def nearest_existing(folder: Path) -> Path:
    """The folder, or its nearest parent that exists."""
    for candidate in (folder, *folder.parents):
        with suppress(OSError):
            if candidate.is_dir():
                return candidate
    return Path("/")
