"""One daemon per run folder: a second one would take the first one's engines for orphans."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sparkd.errors import AlreadyRunning


@contextmanager
def sole_owner(run: Path, held: int | None = None) -> Iterator[int]:
    """Hold the run folder; yield the descriptor of its lock. Raises AlreadyRunning. The kernel lets go of it when the
    daemon dies, however it dies.

    `held`: such a descriptor, from the program that this one has replaced, so that nobody else comes in between.
    """
    fd = os.open(run / "sparkd.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if held is not None:
            if os.path.sameopenfile(held, fd):
                os.dup2(held, fd, inheritable=False)
            os.close(held)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            pid = os.pread(fd, 20, 0).decode().strip() or "unknown"
            raise AlreadyRunning(f"another sparkd (PID {pid}) runs in {run}") from error
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        yield fd
    finally:
        os.close(fd)
