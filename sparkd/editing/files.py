"""The catalogue's files: which there are, and which of them may be edited."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from msgspec import Struct

from sparkd.catalog.reading.documents import DROP_IN_FOLDER, Documents
from sparkd.editing.known import Known
from sparkd.errors import CatalogueFileNotFound, InvalidRequest

MAX_TEXT: Final = 4 * 1024 * 1024
"""Bytes of one file. Ten thousand models are 2 MiB."""

NAME_RULE: Final = (
    "a name such as `models.d/own.toml`: letters, digits, `.`, `_` and `-`, at most 100 of them, beginning with a "
    "letter or digit and ending with `.toml`"
)

_name = re.compile(rf"{DROP_IN_FOLDER}/([A-Za-z0-9][A-Za-z0-9._-]{{0,94}}\.toml)")

KINDS: Final = ("models", "changes", "families", "runtimes", "keys", "clients", "choices")
"""Tables of tables; a file is described by the names in them. Other tables are settings."""


class CatalogueFile(Struct, frozen=True, kw_only=True):
    """A file of the catalogue. `name` is as in `models.d/own.toml`; `path` is absolute.

    `editable`: whether it is a drop-in that may be edited, otherwise `reason` says why not. `digest` is the SHA-256 of
    its bytes in hexadecimal, None if it cannot be read. `defines` has the names in each kind of table, and `settings`
    the names of its other tables. `modified` is a time, `size` bytes.
    """

    name: str
    path: str
    editable: bool
    reason: str = ""
    digest: str | None = None
    size: int | None = None
    modified: float | None = None
    defines: Mapping[str, tuple[str, ...]] = {}
    settings: tuple[str, ...] = ()


def digest_of(data: bytes) -> str:
    """The digest by which an edit names the text that it changes."""
    return hashlib.sha256(data).hexdigest()


def drop_in_path(catalogue: Path, name: str) -> Path:
    """The path of the drop-in `models.d/NAME.toml`, whether it exists or not. Raises InvalidRequest for other names."""
    found = _name.fullmatch(name)
    if found is None or ".." in name:
        raise InvalidRequest(f'"{name[:100]}" cannot be edited: expected {NAME_RULE}.', param="file")
    return catalogue.parent / DROP_IN_FOLDER / found[1]


def names_of(catalogue: Path) -> dict[Path, str]:
    """Each file of the catalogue and its name, in the order in which they are merged."""
    files = {catalogue: catalogue.name}
    for file in Documents().drop_ins(catalogue):
        files[file] = f"{DROP_IN_FOLDER}/{file.name}"
    return files


def find_file(catalogue: Path, name: str) -> Path:
    """The path of an existing file of the catalogue. Raises CatalogueFileNotFound."""
    for path, known in names_of(catalogue).items():
        if known == name:
            return path
    raise CatalogueFileNotFound(
        f'The catalogue has no file "{name[:100]}". `GET /catalogue` lists its files.', param="file"
    )


def read_bytes(path: Path) -> bytes:
    """The contents of a file. Raises InvalidRequest if it is larger than MAX_TEXT, and OSError."""
    with path.open("rb") as opened:
        data = opened.read(MAX_TEXT + 1)
    if len(data) > MAX_TEXT:
        raise InvalidRequest(f"{path} is larger than {MAX_TEXT} bytes; edit it with an editor.", param="file")
    return data


def list_files(catalogue: Path, known: Known[Summary] | None = None) -> list[CatalogueFile]:
    """All files of the catalogue. Reads the disk, but not the contents that are `known`."""
    contents = known or Known(summarize_file)
    return [_describe(path, name, catalogue, contents) for path, name in names_of(catalogue).items()]


class Summary(NamedTuple):
    """What a file contains: the digest and size of its bytes, the names that it defines, its other tables."""

    digest: str
    size: int
    defines: Mapping[str, tuple[str, ...]]
    settings: tuple[str, ...]


def summarize_file(path: Path) -> Summary:
    """What a file contains. Raises OSError and InvalidRequest."""
    data = read_bytes(path)
    return Summary(digest_of(data), len(data), *_summarize(data))


def find_obstacle(path: Path, catalogue: Path) -> str:
    """Why an existing file cannot be edited as a drop-in; empty if it can."""
    if path == catalogue:
        return "An upgrade of sparkd replaces this file. Change its models and settings in a drop-in."
    if _name.fullmatch(f"{DROP_IN_FOLDER}/{path.name}") is None:
        return "Its name has unusual characters. Rename it, or edit it with an editor."
    try:
        mode = path.lstat().st_mode
    except OSError as error:
        return f"It cannot be read: {error.strerror}."
    if stat.S_ISLNK(mode):
        return f"It is a link to {os.path.realpath(path)}. Edit that file."
    return "" if stat.S_ISREG(mode) else "It is not a plain file."


def _describe(path: Path, name: str, catalogue: Path, known: Known[Summary]) -> CatalogueFile:
    obstacle = find_obstacle(path, catalogue)
    try:
        contents, status = known.get(path), path.stat()
    except (OSError, InvalidRequest) as error:
        reason = obstacle or f"It cannot be read: {getattr(error, 'strerror', None) or error}."
        return CatalogueFile(name=name, path=str(path), editable=False, reason=reason)
    return CatalogueFile(
        name=name,
        path=str(path),
        editable=not obstacle,
        reason=obstacle,
        digest=contents.digest,
        size=contents.size,
        modified=status.st_mtime,
        defines=contents.defines,
        settings=contents.settings,
    )


def _summarize(data: bytes) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
    """The names that a file defines, by kind, and its other tables."""
    try:
        tables: dict[str, Any] = tomllib.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return {}, ()
    defines = {kind: tuple(tables[kind]) for kind in KINDS if isinstance(tables.get(kind), dict)}
    return defines, tuple(name for name in tables if name not in KINDS)
