"""Folders that may be another's, or not there yet: what every command may ask of them."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def is_ours(folder: Path) -> bool:
    """Whether this user may write there, and everything would belong to whom it must: its owner, or root for them."""
    place = nearest(folder)
    return os.geteuid() == 0 or (place.stat().st_uid == os.geteuid() and os.access(place, os.W_OK | os.X_OK))


def takes_sudo(folder: Path) -> bool:
    """Whether whoever is at the keyboard must say `sudo` to change it: it is another's, or they have said so."""
    return "SUDO_USER" in os.environ or not is_ours(folder)


def free_in(folder: Path) -> int:
    """Bytes free where the folder is, or will be once it is made."""
    there = os.statvfs(nearest(folder))
    return there.f_bavail * there.f_frsize


def nearest(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    for place in (folder, *folder.parents):
        with suppress(OSError):
            if place.is_dir():
                return place
    return Path("/")
