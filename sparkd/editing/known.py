"""What was read from files that have not changed since: scanning thousands of models takes a second."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")

Signature = tuple[int, int, int, int]


class Known(Generic[T]):
    """Results of `read` by file. A file counts as unchanged if its inode, size and times are the same."""

    def __init__(self, read: Callable[[Path], T]) -> None:
        self._read = read
        self._results: dict[Path, tuple[Signature, T]] = {}

    def get(self, file: Path) -> T:
        """The result for a file. Raises OSError if it does not exist."""
        signature = _sign(file.stat())
        known = self._results.get(file)
        if known is None or known[0] != signature:
            known = self._results[file] = signature, self._read(file)
        return known[1]


def _sign(status: os.stat_result) -> Signature:
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
