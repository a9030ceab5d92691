"""Writes drop-ins, so that a program can change the catalogue and never breaks it."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import tomli_w

from sparkd.catalog.catalogue import Catalogue
from sparkd.catalog.names import NAME_RULE, is_id
from sparkd.catalog.reading.catalogue import read_with
from sparkd.catalog.reading.documents import DROP_INS
from sparkd.errors import CatalogueError

HEADER = "# Written by sparkd. It may be edited, or deleted.\n\n"


def write_drop_in(
    catalogue: Path, name: str, table: Mapping[str, object], *, replace: bool = True
) -> Catalogue:
    """Make `table` the drop-in `models.d/<name>.toml` beside the file `catalogue`, in place of one of that name.

    Returns the catalogue as it is then. The drop-in is tried before it is put in place: raises CatalogueError,
    and changes nothing, when the catalogue with it would be wrong, or when `table` holds what TOML cannot say.
    Raises OSError when it cannot be written, FileExistsError when there is one and `replace` is false. A crash at
    any moment leaves the old file or the new one.
    """
    file, data = _drop_in(catalogue, name, table)
    file.parent.mkdir(exist_ok=True)
    with _only_writer_in(file.parent) as directory:
        if not replace and file.exists():
            raise FileExistsError(f"{file} is there already")
        read = read_with(catalogue, {file: data})
        _replace(file, data)
        os.fsync(directory)
    return read


def try_drop_in(catalogue: Path, name: str, table: Mapping[str, object]) -> tuple[Catalogue, str]:
    """Return the catalogue as it would be with that drop-in, and the drop-in's text. Writes nothing.

    Raises CatalogueError as `write_drop_in` would.
    """
    file, data = _drop_in(catalogue, name, table)
    return read_with(catalogue, {file: data}), data.decode()


def drop_in_file(catalogue: Path, name: str) -> Path:
    """Where the drop-in of that name is, or would be."""
    return catalogue.parent / DROP_INS / f"{name}.toml"


def _drop_in(catalogue: Path, name: str, table: Mapping[str, object]) -> tuple[Path, bytes]:
    file = drop_in_file(catalogue, name)
    if not is_id(name):
        raise CatalogueError([f"{file}: a drop-in is called with {NAME_RULE}"])
    try:
        return file, (HEADER + tomli_w.dumps(table)).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise CatalogueError([f"{file}: cannot be said in TOML: {error}"]) from error


@contextmanager
def _only_writer_in(folder: Path) -> Iterator[int]:
    """Two drop-ins that are each good may be wrong together: they are tried and placed one at a time."""
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        yield directory
    finally:
        os.close(directory)


def _replace(file: Path, data: bytes) -> None:
    # The same name every time, under the lock: what a crash left is overwritten and never piles up. It begins
    # with a dot, so it is not read as a drop-in.
    new = file.with_name(f".{file.name}.new")
    try:
        with new.open("wb") as opened:
            with suppress(FileNotFoundError):  # who hid a token from others in it wants it to stay hidden
                os.fchmod(opened.fileno(), stat.S_IMODE(file.stat().st_mode))
            opened.write(data)
            opened.flush()
            os.fsync(opened.fileno())
        new.replace(file)
    finally:
        new.unlink(missing_ok=True)
