"""Moves the compile caches of a runtime's build away if a start failed because they are damaged.

They are only renamed, so nothing is lost, even on a full disk. Engines of the same build continue: their open files and
mapped libraries stay valid, and what they compile from now on goes into a new cache.

These functions read and remove many files: call them in a thread.
"""

from __future__ import annotations

import json
import logging
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final

from msgspec import Struct

from sparkd.engines.cache_failures import COMPILE_CACHES, find_cache_failure, may_have_broken_cache
from sparkd.engines.engine import Cause

logger = logging.getLogger(__name__)

_MOVED: Final = re.compile(r".+\.broken-\d{8}T\d{6}")

_ELF_MAGIC: Final = b"\x7fELF"
_ELF64_LITTLE_ENDIAN: Final = b"\x02\x01"
_ELF64_HEADER: Final = 64
"""Bytes of the header of a 64-bit ELF file."""


class MovedCaches(Struct, frozen=True):
    """What showed that caches were damaged, and their new paths."""

    evidence: str
    folders: tuple[Path, ...]


def move_broken_caches(folder: Path, lines: Sequence[str], cause: Cause, now: float) -> MovedCaches | None:
    """Move the compile caches in `folder` away if an engine failed to start because they are damaged.

    `folder` has the caches of a runtime's build; `lines` are the last lines of the engine's log, `cause` is why it
    ended, and `now` is in seconds since 1970. Returns None if neither the log nor the files show damage, or if there is
    no cache to move. Raises OSError if a cache cannot be renamed.
    """
    if not may_have_broken_cache(cause):
        return None
    evidence = find_cache_failure(lines, {str(folder), str(folder.resolve())})
    if evidence is None:
        damaged = find_damaged_file(folder)
        if damaged is None:
            return None
        evidence = f"{damaged} is damaged"
    folders = move_caches(folder, now)
    return MovedCaches(evidence, tuple(folders)) if folders else None


def move_caches(folder: Path, now: float) -> list[Path]:
    """Rename the compile caches in `folder` to `<name>.broken-<time>`, and return the new paths.

    Caches that were moved earlier are removed afterwards. Raises OSError if a cache cannot be renamed.
    """
    older = list(_moved_caches(folder))
    suffix = time.strftime(".broken-%Y%m%dT%H%M%S", time.gmtime(now))
    folders = []
    for cache in _compile_caches(folder):
        moved = cache.with_name(cache.name + suffix)
        cache.rename(moved)
        folders.append(moved)
    if folders:
        for old in older:
            shutil.rmtree(old, ignore_errors=True)
    return folders


def find_damaged_file(folder: Path) -> Path | None:
    """Return a file of the compile caches in `folder` that no program has written like this. None if there is none.

    An engine that maps such a file may die of SIGBUS or SIGSEGV, and its log then names no file.
    """
    for cache in _compile_caches(folder):
        for path in sorted(cache.rglob("*")):
            check = _CHECKS.get(path.suffix)
            try:
                if check and path.is_file() and check(path):
                    return path
            except OSError as error:
                logger.debug("Cannot check %s: %s", path, error)
    return None


def _compile_caches(folder: Path) -> Iterator[Path]:
    for pattern in COMPILE_CACHES:
        for path in sorted(folder.glob(pattern)):
            if path.is_dir() and not _MOVED.fullmatch(path.name):
                yield path


def _moved_caches(folder: Path) -> Iterator[Path]:
    for pattern in COMPILE_CACHES:
        yield from (path for path in folder.glob(f"{pattern}.broken-*") if _MOVED.fullmatch(path.name))


def _is_damaged_source(path: Path) -> bool:
    content = path.read_bytes()
    return b"\0" in content or (not content and path.name != "__init__.py")


def _is_damaged_json(path: Path) -> bool:
    try:
        json.loads(path.read_bytes())
    except ValueError:
        return True
    return False


def _is_damaged_object(path: Path) -> bool:
    """Return whether an ELF file is empty, has no header, or lacks its end, where the section headers are."""
    size = path.stat().st_size
    with path.open("rb") as file:
        header = file.read(_ELF64_HEADER)
        if len(header) < _ELF64_HEADER or not header.startswith(_ELF_MAGIC):
            return True
        if header[4:6] != _ELF64_LITTLE_ENDIAN:
            return False
        return _lacks_section_headers(file, header, size)


def _lacks_section_headers(file: BinaryIO, header: bytes, size: int) -> bool:
    offset = int.from_bytes(header[40:48], "little")
    length, count, names = (int.from_bytes(header[at : at + 2], "little") for at in (58, 60, 62))
    if not offset or not count:
        return False  # it has none
    if offset + length * count > size:
        return True
    file.seek(offset + length * names)
    return not any(file.read(length))


_CHECKS: Final = {
    ".py": _is_damaged_source,
    ".json": _is_damaged_json,
    ".so": _is_damaged_object,
    ".cubin": _is_damaged_object,
}
"""How to recognise a damaged file, by its suffix. From damaged files of other kinds engines recover, or their log names
the file."""
