"""Reads the catalogue as it would be with a changed file. Writes nothing."""

from __future__ import annotations

from pathlib import Path

from sparkd.catalog import Catalogue
from sparkd.catalog.reading import read_with_overrides
from sparkd.editing.files import MAX_TEXT, names_of
from sparkd.editing.problems import Problem, locate_problems
from sparkd.engines import find_engine_problems
from sparkd.errors import CatalogueError, InvalidRequest


def read_with_change(catalogue: Path, file: Path, data: bytes | None) -> Catalogue:
    """The catalogue with `data` as the contents of `file`; None: without that file.

    Raises CatalogueError with every problem, also those that engines find, and InvalidRequest if it is too large.
    """
    check_size(data)
    read = read_with_overrides(catalogue, {file: data})
    if problems := find_engine_problems(read):
        raise CatalogueError(problems)
    return read


def check_size(data: bytes | None) -> None:
    """Raises InvalidRequest if the contents of a file are too large."""
    if data is not None and len(data) > MAX_TEXT:
        text = f"A file of the catalogue may have {MAX_TEXT} bytes, and this has {len(data)}. Split it."
        raise InvalidRequest(text, param="text")


def locate(catalogue: Path, error: CatalogueError, file: Path, data: bytes | None) -> list[Problem]:
    """The problems of a catalogue that has `data` as the contents of `file`, each with its line."""
    names = {**names_of(catalogue), file: f"{file.parent.name}/{file.name}"}

    def read(path: Path) -> str:
        try:
            raw = path.read_bytes() if path != file or data is None else data
        except OSError:
            return ""
        return raw.decode("utf-8-sig", errors="replace").replace("\r\n", "\n")

    return locate_problems(error.problems, names, names, read)
