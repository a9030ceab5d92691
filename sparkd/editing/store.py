"""Writes drop-ins and records each edit, so that it can be undone."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final, Protocol

from msgspec import structs

from sparkd.catalog.reading.documents import DROP_IN_FOLDER
from sparkd.catalog.reading.replacing import exclusive_lock, replace_file
from sparkd.editing.edits import Edit, Journal, digest_or_none
from sparkd.editing.files import drop_in_path, find_obstacle, read_bytes
from sparkd.editing.overlay import read_with_change
from sparkd.errors import (
    CatalogueFileNotFound,
    CatalogueNotWritable,
    EditConflict,
    EditFailed,
    EditNotFound,
    InvalidRequest,
)

DENIED: Final = (errno.EACCES, errno.EPERM, errno.EROFS)


Validate = Callable[[Path, bytes | None], object]
"""Reads the catalogue with other contents of a file, None without it. Raises CatalogueError and InvalidRequest."""


class Store(Protocol):
    """Changes drop-ins. Every method reads and writes the disk: call it in a thread."""

    def write(self, name: str, data: bytes | None, digest: str | None) -> Edit:
        """Write `data` as the drop-in `name`; None deletes it. `digest` is that of the text that was edited, None if
        there was none.

        Raises EditConflict if the file is another one by now; CatalogueError and InvalidRequest if the catalogue would
        be invalid, or the name is not allowed; CatalogueNotWritable and EditFailed. Then nothing has changed.
        """
        ...

    def toggle(self, number: int | None) -> Edit:
        """Undo an edit, or make it again if it was undone. None: undo the newest edit that can be undone.

        Raises EditNotFound, and the errors of `write`.
        """
        ...

    def take_back(self, number: int, *, is_toggled: bool) -> None:
        """Restore what the file was before an edit that was just written, and forget the edit. `is_toggled`: before
        an undo, or what made an edit again; then that is forgotten.
        """
        ...


class LocalStore:
    """Writes as this process. `catalogue` is the path of the main file, `validate` checks it with a change."""

    def __init__(self, catalogue: Path, validate: Validate | None = None) -> None:
        self._catalogue = catalogue
        self._validate = validate or partial(read_with_change, catalogue)
        self._folder = catalogue.parent / DROP_IN_FOLDER
        self._journal = Journal(self._folder)

    def write(self, name: str, data: bytes | None, digest: str | None) -> Edit:
        """See Store."""
        file = drop_in_path(self._catalogue, name)
        with self._changing(file):
            before = _read(file, self._catalogue)
            if digest_or_none(before) != digest:
                raise EditConflict(_describe_conflict(name, before, digest), param="digest")
            if before is None and data is None:
                raise CatalogueFileNotFound(f"There is no {name} to delete.", param="file")
            self._validate(file, data)
            edit = self._journal.add(name, before, data, self._mode_for(file))
            try:
                self._put(file, data)
            except OSError:
                with suppress(OSError):
                    self._journal.remove(edit)
                raise
            return edit

    def toggle(self, number: int | None) -> Edit:
        """See Store."""
        with self._changing(self._folder):
            edit = self._find_edit(number)
            file = drop_in_path(self._catalogue, edit.file)
            if digest_or_none(_read(file, self._catalogue)) != digest_or_none(edit.current):
                what = "undone" if edit.undone is None else "made again"
                text = f"{edit.file} has changed since edit {edit.id}, so that edit cannot be {what}."
                raise EditConflict(text, param="edit")
            self._validate(file, edit.other)
            toggled = _toggle(edit)
            self._put(file, edit.other)
            self._journal.save(toggled)
            return toggled

    def take_back(self, number: int, *, is_toggled: bool) -> None:
        """See Store."""
        with self._changing(self._folder):
            edit = self._find_edit(number)
            file = drop_in_path(self._catalogue, edit.file)
            if digest_or_none(_read(file, self._catalogue)) == digest_or_none(edit.current):
                self._put(file, edit.other)
            if is_toggled:
                self._journal.save(_toggle(edit))
            else:
                self._journal.remove(edit)

    def _find_edit(self, number: int | None) -> Edit:
        for edit in self._journal.all():
            if edit.id == number or (number is None and edit.undone is None):
                return edit
        what = "There is no edit to undo." if number is None else f"There is no edit {number} any more."
        raise EditNotFound(what, param="edit")

    @contextmanager
    def _changing(self, file: Path) -> Iterator[None]:
        """Hold the folder's lock. Translates errors of the disk."""
        try:
            self._folder.mkdir(exist_ok=True)
            with exclusive_lock(self._folder):
                yield
        except OSError as error:
            if error.errno in DENIED:
                text = (
                    f"This user may not write {self._folder}. Run `sparkctl edit` as its owner (with sudo), or change "
                    "the file there and run `sparkctl reload`."
                )
                raise CatalogueNotWritable(text) from error
            full = " Free some space, then try again." if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
            raise EditFailed(f"{file} cannot be written: {error.strerror}.{full}") from error

    def _put(self, file: Path, data: bytes | None) -> None:
        """Write or delete the file. A crash at any moment leaves the old file or the new one."""
        if data is None:
            file.unlink(missing_ok=True)
        else:
            replace_file(file, data, self._mode_for(file))
        directory = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def _mode_for(self, file: Path) -> int:
        """The mode of the file, or for a new one that of the catalogue: who may read that may read both."""
        try:
            return stat.S_IMODE(file.stat().st_mode)
        except FileNotFoundError:
            return stat.S_IMODE(self._catalogue.stat().st_mode) & 0o664


def _toggle(edit: Edit) -> Edit:
    return structs.replace(edit, undone=time.time() if edit.undone is None else None)


def _read(file: Path, catalogue: Path) -> bytes | None:
    """The contents of a drop-in, None if it does not exist. Raises InvalidRequest if it may not be edited."""
    if not os.path.lexists(file):
        return None
    if obstacle := find_obstacle(file, catalogue):
        raise InvalidRequest(f"{file} cannot be edited. {obstacle}", param="file")
    return read_bytes(file)


def _describe_conflict(name: str, before: bytes | None, digest: str | None) -> str:
    if before is None:
        return f"{name} has been deleted since you began to edit it."
    if digest is None:
        return f"{name} already exists. Choose another name, or edit that file."
    return f"{name} has changed since you began to edit it. Load it again, and repeat your change."
