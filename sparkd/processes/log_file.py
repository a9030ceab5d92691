"""The file that one process's log lines go to. Bounded, and never a reason for anything else to fail."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

LIMIT: Final = 32 * 1024 * 1024
"""Bytes of one file. A longer log is two files: the newest lines, and beside them (`.1`) up to as many before."""

LOOK_BACK: Final = 512 * 1024
"""Bytes read of a log to remember its last lines."""


class LogFile:
    """Lines in, each with its newline, to the end of a file of mode 0600.

    What cannot be written (a full disk) is dropped, and said in the file once writing works again.
    """

    def __init__(self, path: Path, *, limit: int = LIMIT) -> None:
        self._path = path
        self._limit = limit
        self._descriptor = -1
        self._size = 0
        self._lost = 0
        self._why = ""

    def write(self, lines: list[str]) -> None:
        """Append the lines. Never raises OSError."""
        text = "".join(f"{line}\n" for line in lines)
        if self._lost:
            # A half-written line may stand before it.
            text = f"\n[sparkd: {self._lost} lines dropped: {self._why}]\n{text}"
        data = text.encode("utf-8", "replace")
        try:
            self._open()
            written = os.write(self._descriptor, data)
        except OSError as error:
            self._lost += len(lines)
            self._why = error.strerror or str(error)
            return
        self._size += written
        self._lost = data.count(b"\n", written)
        self._why = "the disk is full"  # the one reason for which a file takes a part of a write

    def close(self) -> None:
        """Close the file; whoever writes again opens it again."""
        if self._descriptor >= 0:
            with suppress(OSError):  # a network file system may report a full disk only now
                os.close(self._descriptor)
            self._descriptor = -1

    def _open(self) -> None:
        if self._descriptor >= 0 and self._size > self._limit:
            self.close()
            self._path.rename(previous(self._path))
        if self._descriptor < 0:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            self._descriptor = os.open(self._path, flags, 0o600)
            self._size = os.fstat(self._descriptor).st_size


def last_lines(path: Path, lines: int) -> list[str]:
    """The end of a log that is on the disk, as far as one look goes back; nothing where it cannot be read."""
    try:
        with path.open("rb") as file:
            beginning = max(0, file.seek(0, os.SEEK_END) - LOOK_BACK)
            file.seek(beginning)
            found = file.read().decode("utf-8", "replace").split("\n")
    except OSError:
        return []
    return found[1 if beginning else 0 : -1][
        -lines:
    ]  # a line that was cut, and what follows the last newline


def previous(path: Path) -> Path:
    """Where the older half of a long log is."""
    return path.with_name(f"{path.name}.1")
