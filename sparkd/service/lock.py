"""Allows only one daemon per run folder: a second one would treat the first one's engines as orphans."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sparkd.errors import AlreadyRunning


@contextmanager
def lock_run_folder(run: Path, inherited_fd: int | None = None) -> Iterator[int]:
    """Lock the run folder; yield the lock's file descriptor. Raises AlreadyRunning.

    The kernel releases the lock when the daemon dies, for whatever reason. `inherited_fd` is the lock's descriptor from
    the program that this one has replaced: passing it on keeps the lock without a gap.
    """
    fd = os.open(run / "sparkd.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if inherited_fd is not None:
            if os.path.sameopenfile(inherited_fd, fd):
                os.dup2(inherited_fd, fd, inheritable=False)
            os.close(inherited_fd)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            pid = os.pread(fd, 20, 0).decode().strip() or "unknown"
            raise AlreadyRunning(f"another sparkd (PID {pid}) already uses {run}; stop it first") from error
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        yield fd
    finally:
        os.close(fd)
