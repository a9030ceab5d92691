"""Children that this process did not start itself.

As a subreaper, see prctl(2) PR_SET_CHILD_SUBREAPER, sparkd becomes the parent of every descendant whose own parent has
exited. So an engine that a launcher has forked is a child of sparkd like any other. So are an engine's processes that
outlive it; when they exit, somebody has to take their exit status, or they stay zombies.
"""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from typing import Final

from sparkd.processes import pids

PR_SET_CHILD_SUBREAPER: Final = 36
"""prctl(2), linux/prctl.h. The setting survives execve(2)."""

watched: Final[set[int]] = set()
"""PIDs that a Process waits for. There is one kernel table of children, so there is one set."""


def become_subreaper() -> None:
    """Make this process the parent of orphaned descendants. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def reap_adopted() -> list[int]:
    """Take the exit status of adopted children that have exited; return their PIDs.

    Not those that somebody waits for: a Process, or asyncio, whose children are in this process's own session. Do not
    call it between a launcher's fork and the creation of its Process.
    """
    me, session = os.getpid(), os.getsid(0)
    reaped = []
    for pid, stat in pids.read_processes().items():
        if stat.parent == me and stat.ended and stat.session != session and pid not in watched:
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
                reaped.append(pid)
    return reaped
