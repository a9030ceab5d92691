"""Reads the log files of a model's runs, the older half of a long one included. All of it reads the disk."""

from __future__ import annotations

import calendar
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from msgspec import Struct

from sparkd.processes.log_file import rotated_path

PIECE: Final = 256 * 1024
"""Bytes of one piece."""


class LogFileInfo(Struct, frozen=True, kw_only=True):
    """The log file of one run. `started` is seconds since the epoch, `size` bytes, `current` whether it is the log of
    the model's present or last process since sparkd started."""

    file: str
    started: float
    size: int
    current: bool = False


def describe_log(path: Path, *, current: bool) -> LogFileInfo | None:
    """What is known of a log file by its name and size. None if it no longer exists."""
    sizes = []
    for part in (path, rotated_path(path)):
        with suppress(OSError):
            sizes.append(part.stat().st_size)
    if not sizes:
        return None
    return LogFileInfo(file=path.name, started=_read_start(path.name), size=sum(sizes), current=current)


def read_log(path: Path, lines: int) -> Iterator[bytes]:
    """The last `lines` lines of a run in pieces of at most PIECE bytes. Raises OSError if it cannot be read."""
    parts = [part for part in (rotated_path(path), path) if part.exists()]
    if not parts:
        raise FileNotFoundError(path)
    starts: list[tuple[Path, int]] = []
    missing = lines
    for part in reversed(parts):
        if missing <= 0:
            break
        offset, found = _find_start(part, missing)
        starts.insert(0, (part, offset))
        missing -= found
    for part, offset in starts:
        with part.open("rb") as file:
            file.seek(offset)
            while piece := file.read(PIECE):
                yield piece


def _find_start(path: Path, lines: int) -> tuple[int, int]:
    """The offset of the last `lines` lines, and how many there are, at most `lines`."""
    found = 0
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - PIECE)
            file.seek(start)
            piece = file.read(end - start)
            count = piece.count(b"\n")
            if found + count > lines:
                position = len(piece)
                for _ in range(lines - found + 1):
                    position = piece.rindex(b"\n", 0, position)
                return start + position + 1, lines
            found += count
            end = start
    return 0, found


def _read_start(name: str) -> float:
    """The time in a log file's name, `<model>.20261128T192501123.7.log`."""
    stamp = name.rsplit(".", 3)[-3]
    parsed = time.strptime(stamp[:15], "%Y%m%dT%H%M%S")
    return calendar.timegm(parsed) + int(stamp[15:]) / 1000
