"""Writes drop-ins, so that a program can change the catalogue without breaking it."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import tomli_w

from sparkd.catalog.catalogue import Catalogue
from sparkd.catalog.names import NAME_RULE, is_id
from sparkd.catalog.reading.catalogue import read_with_overrides
from sparkd.catalog.reading.documents import DROP_IN_FOLDER
from sparkd.errors import CatalogueError

HEADER = "# Written by sparkd. You may edit or delete this file.\n\n"


def write_drop_in(
    catalogue: Path, name: str, table: Mapping[str, object], *, replace: bool = True
) -> Catalogue:
    """Write `table` as the drop-in `models.d/<name>.toml` beside the file `catalogue`, replacing an existing one.

    Returns the new catalogue. The drop-in is tried first: raises CatalogueError, and changes nothing, if the catalogue
    would be invalid with it, or if `table` has values that TOML cannot express. Raises OSError if the file cannot be
    written, and FileExistsError if it exists and `replace` is false. A crash at any moment leaves the old file or the
    new one.
    """
    file, data = _encode_drop_in(catalogue, name, table)
    file.parent.mkdir(exist_ok=True)
    with exclusive_lock(file.parent) as directory:
        if not replace and file.exists():
            raise FileExistsError(f"{file} already exists")
        read = read_with_overrides(catalogue, {file: data})
        replace_file(file, data)
        os.fsync(directory)
    return read


def try_drop_in(catalogue: Path, name: str, table: Mapping[str, object]) -> tuple[Catalogue, str]:
    """Return the catalogue with that drop-in, and the drop-in's text. Writes nothing.

    Raises CatalogueError like `write_drop_in`.
    """
    file, data = _encode_drop_in(catalogue, name, table)
    return read_with_overrides(catalogue, {file: data}), data.decode()


def drop_in_file(catalogue: Path, name: str) -> Path:
    """The path of the drop-in with that name, whether it exists or not."""
    return catalogue.parent / DROP_IN_FOLDER / f"{name}.toml"


def _encode_drop_in(catalogue: Path, name: str, table: Mapping[str, object]) -> tuple[Path, bytes]:
    file = drop_in_file(catalogue, name)
    if not is_id(name):
        raise CatalogueError([f"{file}: expected the name of a drop-in: {NAME_RULE}"])
    try:
        return file, (HEADER + tomli_w.dumps(table)).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise CatalogueError([f"{file}: cannot be written as TOML: {error}"]) from error


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
