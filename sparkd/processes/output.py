"""The pipe between a process and its Log. It is read as fast as the process writes, even if lines are dropped."""

from __future__ import annotations

import asyncio
import fcntl
import os
from contextlib import suppress
from typing import Final

from sparkd.processes.log import Log

READ_SIZE: Final = 64 * 1024
"""Bytes per read."""

PIPE_SIZE: Final = 1024 * 1024
"""Capacity of the pipe in bytes: what an engine can write while the event loop is busy. An ordinary user's maximum."""

THROTTLE_PAUSE: Final = 0.002
"""Seconds between two reads of a process that keeps its pipe full. This limits it to about 500 MB/s and leaves more
than half of the event loop's time for others."""

THROTTLE_AFTER: Final = 16
"""Full reads in a row after which a process is throttled."""


class OutputPipe:
    """Reads one pipe into one Log on the running event loop. `reader` is the read end of an existing pipe, if any."""

    def __init__(self, log: Log, reader: int | None = None) -> None:
        self._reader, self._writer = os.pipe() if reader is None else (reader, -1)  # close-on-exec
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._full_reads = 0
        self._open = True
        os.set_blocking(self._reader, False)
        with suppress(OSError):
            fcntl.fcntl(self._reader, fcntl.F_SETPIPE_SZ, PIPE_SIZE)
        self._loop.add_reader(self._reader, self._on_readable)

    @property
    def writer(self) -> int:
        """The write end, for the process."""
        return self._writer

    def close_writer(self) -> None:
        """Close our copy of the write end, so that the pipe ends when the process does."""
        os.close(self._writer)

    @property
    def reader(self) -> int | None:
        """The read end. None once the write end is closed everywhere."""
        return self._reader if self._open else None

    def drain(self) -> None:
        """Read what is in the pipe now, so that the log has all output of a process that has exited."""
        for _ in range(PIPE_SIZE // READ_SIZE):
            if not self._open or self._read() == 0:
                return

    def close(self) -> None:
        """Read what is in the pipe, then close it. A process that still has the write end was killed or is not ours."""
        self.drain()
        self._close()

    def _on_readable(self) -> None:
        self._full_reads = self._full_reads + 1 if self._read() == READ_SIZE else 0
        if self._full_reads >= THROTTLE_AFTER:
            self._full_reads = 0
            self._loop.remove_reader(self._reader)
            self._loop.call_later(THROTTLE_PAUSE, self._resume_reading)

    def _read(self) -> int:
        try:
            data = os.read(self._reader, READ_SIZE)
        except BlockingIOError:
            return 0
        if data:
            self._log.feed(data)
        else:
            self._close()
        return len(data)

    def _resume_reading(self) -> None:
        if self._open:
            self._loop.add_reader(self._reader, self._on_readable)

    def _close(self) -> None:
        if self._open:
            self._open = False
            self._loop.remove_reader(self._reader)
            os.close(self._reader)
