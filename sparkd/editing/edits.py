"""The last edits of the catalogue, in a folder beside the drop-ins, so that who may not write these cannot change what
an undo writes. Its name begins with a dot: it is not read as a part of the catalogue.
"""

from __future__ import annotations

import os
import stat
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from sparkd.catalog.reading.replacing import replace_file
from sparkd.editing.files import digest_of

FOLDER: Final = ".edits"
MAX_EDITS: Final = 20
MAX_BYTES: Final = 32 * 1024 * 1024
"""Bytes of all recorded texts. The last edit is always kept."""


class Edit(Struct, frozen=True, kw_only=True):
    """One edit. `file` is as in `models.d/own.toml`; `before` and `after` are its contents, None if it did not exist.

    `at` is when, and `undone` when it was undone, None if it was not. `id` grows with every edit.
    """

    id: int
    at: float
    file: str
    before: bytes | None
    after: bytes | None
    undone: float | None = None

    @property
    def current(self) -> bytes | None:
        """What the file contains if nobody else has changed it since."""
        return self.after if self.undone is None else self.before

    @property
    def other(self) -> bytes | None:
        """What the file contains after an undo or, if it was undone, after it was made again."""
        return self.before if self.undone is None else self.after


class EditSummary(Struct, frozen=True, kw_only=True):
    """An edit as it is listed. `kind` is what it did; `added` and `removed` count lines.

    `can_undo`: its file is as the edit left it. `can_redo`: it was undone, and its file is as before.
    """

    id: int
    at: float
    file: str
    kind: str
    added: int
    removed: int
    undone: float | None
    can_undo: bool
    can_redo: bool


def summarize(edit: Edit, current: str | None) -> EditSummary:
    """The edit as it is listed. `current` is the digest of its file now, None if there is none."""
    before, after = _lines(edit.before), _lines(edit.after)
    # Lines that are in both, wherever they are: enough for a summary, and fast for large files.
    shared = sum((Counter(before) & Counter(after)).values())
    unchanged = current == digest_or_none(edit.current)
    return EditSummary(
        id=edit.id,
        at=edit.at,
        file=edit.file,
        kind="created" if edit.before is None else "deleted" if edit.after is None else "changed",
        added=len(after) - shared,
        removed=len(before) - shared,
        undone=edit.undone,
        can_undo=unchanged and edit.undone is None,
        can_redo=unchanged and edit.undone is not None,
    )


def digest_or_none(data: bytes | None) -> str | None:
    """The digest of a file's contents, None if there is no file."""
    return None if data is None else digest_of(data)


class Journal:
    """The edits of one folder with drop-ins. The caller holds the folder's lock for changes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / FOLDER

    def all(self) -> list[Edit]:
        """The edits, the newest first. A file that cannot be read is left out."""
        edits = []
        for path in self._paths():
            with suppress(OSError, msgspec.MsgspecError):
                edits.append(msgspec.json.decode(path.read_bytes(), type=Edit))
        return sorted(edits, key=lambda edit: -edit.id)

    def add(self, file: str, before: bytes | None, after: bytes | None, mode: int) -> Edit:
        """Record an edit that is about to be made. `mode` is that of its file: the record has its contents."""
        newest = max((int(path.stem) for path in self._paths()), default=0)
        edit = Edit(id=newest + 1, at=time.time(), file=file, before=before, after=after)
        self.save(edit, mode)
        self._remove_old()
        return edit

    def save(self, edit: Edit, mode: int | None = None) -> None:
        """Write an edit. Raises OSError."""
        parent = self._folder.parent.stat()
        if not self._folder.exists():
            self._folder.mkdir()
            self._folder.chmod(stat.S_IMODE(parent.st_mode))
        path = self._path(edit.id)
        if not path.exists():
            path.touch(mode=0o600)
            if mode is not None:
                path.chmod(mode)
        replace_file(path, msgspec.json.encode(edit))
        self._sync()

    def remove(self, edit: Edit) -> None:
        """Forget an edit that was not made."""
        self._path(edit.id).unlink(missing_ok=True)
        self._sync()

    def _remove_old(self) -> None:
        total = 0
        for number, path in enumerate(sorted(self._paths(), key=lambda path: -int(path.stem))):
            total += path.stat().st_size
            if number >= MAX_EDITS or (number and total > MAX_BYTES):
                path.unlink(missing_ok=True)

    def _sync(self) -> None:
        directory = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:08d}.json"

    def _paths(self) -> list[Path]:
        try:
            found = list(self._folder.iterdir())
        except OSError:
            return []
        return [path for path in found if path.suffix == ".json" and path.stem.isdecimal()]


def _lines(data: bytes | None) -> list[bytes]:
    return [] if data is None else data.splitlines()
