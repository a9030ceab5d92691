"""Writes a client's file: a backup first, then the new file in one step, so that a failure leaves the old one whole."""

from __future__ import annotations

import difflib
import itertools
import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from sparkd.cli.client.files import Change
from sparkd.errors import ClientFileError

BACKUP: Final = ".sparkd-backup"
PRIVATE: Final = 0o600
USUAL: Final = 0o644
CONTEXT_LINES: Final = 2


class WriteReport(Struct, frozen=True):
    """What was done to a file. `backup` is None if there was nothing to keep."""

    path: Path
    is_changed: bool
    backup: Path | None
    diff: str

    def render(self) -> str:
        """For a person."""
        if not self.is_changed:
            return f"{self.path} is already up to date"
        kept = f"; the old file is {self.backup}" if self.backup else ""
        return f"{self.diff}wrote {self.path}{kept}"

    def as_json(self) -> dict[str, Any]:
        """For a program."""
        return {"path": self.path, "changed": self.is_changed, "backup": self.backup}


def write_change(change: Change, *, is_private: bool) -> WriteReport:
    """Write the new content. `is_private`: a new file may only be read by its owner, because it has a key.

    An existing file keeps its permissions. Raises ClientFileError; the file is then as it was.
    """
    if change.old == change.new:
        return WriteReport(change.path, is_changed=False, backup=None, diff="")
    target = change.target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        status = target.stat() if change.old is not None else None
        mode = stat.S_IMODE(status.st_mode) if status else PRIVATE if is_private else USUAL
        backup = None if change.old is None else _back_up(target, change.old, mode, status)
        _replace(change, mode, status)
    except OSError as error:
        raise ClientFileError(
            f"{change.path} cannot be written: {error.strerror}. It is as it was."
        ) from error
    return WriteReport(change.path, is_changed=True, backup=backup, diff=_render_diff(change))


def _back_up(target: Path, data: bytes, mode: int, status: os.stat_result | None) -> Path:
    """Write a copy under a name that does not exist yet. Raises OSError, and leaves no incomplete copy."""
    for number in itertools.count():
        name = f"{target.name}{BACKUP}{f'.{number}' if number else ''}"
        backup = target.with_name(name)
        try:
            opened = os.open(backup, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        except FileExistsError:
            continue
        try:
            _fill(opened, data, mode, status)
        except OSError:
            backup.unlink()
            raise
        return backup
    raise AssertionError  # the numbers do not end


def _replace(change: Change, mode: int, status: os.stat_result | None) -> None:
    target = change.target
    opened, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        _fill(opened, change.new, mode, status)
        _check_unchanged(change)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _check_unchanged(change: Change) -> None:
    """The client itself may have written its file meanwhile. Raises ClientFileError."""
    current = change.target.read_bytes() if change.target.exists() else None
    if current != change.old:
        raise ClientFileError(f"{change.path} has just been changed by another program. Run this again.")


def _fill(opened: int, data: bytes, mode: int, status: os.stat_result | None) -> None:
    with os.fdopen(opened, "wb") as file:
        if status is not None:
            with suppress(PermissionError):  # only root may give a file away
                os.fchown(opened, status.st_uid, status.st_gid)
        os.fchmod(opened, mode)
        file.write(data)
        file.flush()
        os.fsync(opened)


def _render_diff(change: Change) -> str:
    old, new = ((data or b"").decode().splitlines(keepends=True) for data in (change.old, change.new))
    lines = difflib.unified_diff(old, new, str(change.path), str(change.path), n=CONTEXT_LINES)
    return "".join(line.rstrip("\r\n") + "\n" for line in lines)
