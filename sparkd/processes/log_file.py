"""The log file of one process. Its size is bounded, and its errors never affect anything else."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

MAX_FILE_SIZE: Final = 32 * 1024 * 1024
"""Bytes of one file. A longer log has two files: the newest lines, and in `.1` up to as many bytes of older ones."""

TAIL_BYTES: Final = 512 * 1024
"""Bytes read from the end of a log file to restore its last lines."""


class LogFile:
    """Appends lines, each with its newline, to a file of mode 0600.

    Lines that cannot be written (a full disk) are dropped. Once writing works again, a line in the file reports them.
    """

    def __init__(self, path: Path, *, limit: int = MAX_FILE_SIZE) -> None:
        self._path = path
        self._limit = limit
        self._descriptor = -1
        self._size = 0
        self._lost = 0
        self._drop_reason = ""

    def write(self, lines: list[str]) -> None:
        """Append the lines. Never raises OSError."""
        text = "".join(f"{line}\n" for line in lines)
        if self._lost:
            # Begins with a newline, because the line before may be incomplete.
            text = f"\n[sparkd: {self._lost} lines dropped: {self._drop_reason}]\n{text}"
        data = text.encode("utf-8", "replace")
        try:
            self._open()
            written = os.write(self._descriptor, data)
        except OSError as error:
            self._lost += len(lines)
            self._drop_reason = error.strerror or str(error)
            return
        self._size += written
        self._lost = data.count(b"\n", written)
        self._drop_reason = "the disk is full"  # the only reason for a partial write to a file

    def close(self) -> None:
        """Close the file. The next `write` opens it again."""
        if self._descriptor >= 0:
            with suppress(OSError):  # a network file system may report a full disk only now
                os.close(self._descriptor)
            self._descriptor = -1

    def _open(self) -> None:
        if self._descriptor >= 0 and self._size > self._limit:
            self.close()
            self._path.rename(rotated_path(self._path))
        if self._descriptor < 0:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            self._descriptor = os.open(self._path, flags, 0o600)
            self._size = os.fstat(self._descriptor).st_size


def read_last_lines(path: Path, lines: int) -> list[str]:
    """Return the last lines of a log file, at most TAIL_BYTES of it. Empty if the file cannot be read."""
    try:
        with path.open("rb") as file:
            start = max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES)
            file.seek(start)
            pieces = file.read().decode("utf-8", "replace").split("\n")
    except OSError:
        return []
    complete = pieces[1 if start else 0 : -1]  # without a cut first line, and the text after the last newline
    return complete[-lines:]


def rotated_path(path: Path) -> Path:
    """Return the path of the older half of a long log."""
    return path.with_name(f"{path.name}.1")
