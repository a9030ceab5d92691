"""Writes drop-ins, so that a program can change the catalogue without breaking it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import tomli_w

from sparkd.catalog.catalogue import Catalogue
from sparkd.catalog.names import NAME_RULE, is_id
from sparkd.catalog.reading.catalogue import read_with_overrides
from sparkd.catalog.reading.documents import DROP_IN_FOLDER
from sparkd.catalog.reading.replacing import exclusive_lock, replace_file
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
