"""The pipe between a process and its Log: emptied as fast as it fills, whatever becomes of the lines."""

from __future__ import annotations

import asyncio
import fcntl
import os
from contextlib import suppress
from typing import Final

from sparkd.processes.log import Log

PIECE: Final = 64 * 1024
"""Bytes read at once."""

CAPACITY: Final = 1024 * 1024
"""Bytes the pipe may hold: what an engine can write while the event loop is busy. The most an ordinary user may set."""

PAUSE: Final = 0.002
"""Seconds between two reads of a process that fills the pipe without an end: it is slowed to some 500 MB/s, and
the event loop has more than half of its time for others."""

STREAK: Final = 16
"""Full pieces in a row after which a process counts as such."""


class Output:
    """Reads one pipe into one Log, on the running event loop. `reader`: the end to read of a pipe there is already."""

    def __init__(self, log: Log, reader: int | None = None) -> None:
        self._reader, self._writer = os.pipe() if reader is None else (reader, -1)  # close-on-exec
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._streak = 0
        self._open = True
        os.set_blocking(self._reader, False)
        with suppress(OSError):
            fcntl.fcntl(self._reader, fcntl.F_SETPIPE_SZ, CAPACITY)
        self._loop.add_reader(self._reader, self._on_readable)

    @property
    def writer(self) -> int:
        """The end for the process to write to."""
        return self._writer

    def close_writer(self) -> None:
        """Close our copy of the end the process writes to, so that the pipe ends with the process."""
        os.close(self._writer)

    @property
    def reader(self) -> int | None:
        """The end we read from; None once nobody can write to the other one."""
        return self._reader if self._open else None

    def drain(self) -> None:
        """Read what is in the pipe now, so that a process that has ended has said all."""
        for _ in range(CAPACITY // PIECE):
            if not self._open or self._read() == 0:
                return

    def close(self) -> None:
        """Read what there is, and no more: whoever still holds the other end has been ended, or is a stranger."""
        self.drain()
        self._close()

    def _on_readable(self) -> None:
        self._streak = self._streak + 1 if self._read() == PIECE else 0
        if self._streak >= STREAK:
            self._streak = 0
            self._loop.remove_reader(self._reader)
            self._loop.call_later(PAUSE, self._go_on)

    def _read(self) -> int:
        try:
            data = os.read(self._reader, PIECE)
        except BlockingIOError:
            return 0
        if data:
            self._log.feed(data)
        else:
            self._close()
        return len(data)

    def _go_on(self) -> None:
        if self._open:
            self._loop.add_reader(self._reader, self._on_readable)

    def _close(self) -> None:
        if self._open:
            self._open = False
            self._loop.remove_reader(self._reader)
            os.close(self._reader)
