"""Watches the processes of one engine that it cannot work without, although they are not its main process.

vLLM's API server exits 3 to 5 seconds after its engine core has died. A pidfd becomes readable at once. The processes
are found by the names that they give themselves, in the list that the memory watch makes once a second anyway.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import struct
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final, NamedTuple

from sparkd.engines.engine import Exit
from sparkd.processes import pids
from sparkd.processes.pids import Identity

PIDFD_GET_INFO: Final = 0xC040FF0B
PIDFD_INFO_EXIT: Final = 1 << 3
PIDFD_INFO: Final = struct.Struct("<Q 52x i")
"""struct pidfd_info of <linux/pidfd.h>: its mask, fields that are not used here, and the wait status."""


class Death(NamedTuple):
    """A vital process has ended: its PID, what it was, for messages, and how it ended."""

    pid: int
    process: str
    exit: Exit


class VitalProcesses:
    """Watches the vital processes of one engine, on the event loop that it is created on, until `close`.

    `name_process` returns what a process of that name is, None if the process is not vital. `on_death` is called for
    each one that ends.
    """

    def __init__(self, name_process: Callable[[str], str | None], on_death: Callable[[Death], None]) -> None:
        self._name_process = name_process
        self._on_death = on_death
        self._loop = asyncio.get_running_loop()
        self._pidfds: dict[Identity, int] = {}
        self._closed = False

    def find(self, process_ids: Iterable[int]) -> None:
        """Find the vital processes among these and watch them from now on. May be called from any thread."""
        for pid in process_ids:
            stat = pids.read_stat(pid)
            process = stat and self._name_process(stat.name)
            if stat is None or process is None or stat.ended:
                continue
            identity = Identity(pid, stat.start_time)
            if identity not in self._pidfds and not _is_fork(stat):
                with suppress(RuntimeError):  # the event loop is closed
                    self._loop.call_soon_threadsafe(self._watch, identity, process)

    def close(self) -> None:
        """Watch no longer."""
        self._closed = True
        for pidfd in self._pidfds.values():
            self._loop.remove_reader(pidfd)
            os.close(pidfd)
        self._pidfds.clear()

    def _watch(self, identity: Identity, process: str) -> None:
        if self._closed or identity in self._pidfds:
            return
        try:
            pidfd = os.pidfd_open(identity.pid)
        except (
            OSError
        ):  # it has ended since it was found, or no descriptor is left: try again at the next list
            return
        current = pids.identify(identity.pid)
        if current != identity:
            os.close(pidfd)
            return
        self._pidfds[identity] = pidfd
        self._loop.add_reader(pidfd, self._on_readable, identity, process)

    def _on_readable(self, identity: Identity, process: str) -> None:
        pidfd = self._pidfds.pop(identity)
        self._loop.remove_reader(pidfd)
        how = _read_exit(pidfd, identity)
        os.close(pidfd)
        self._on_death(Death(identity.pid, process, how))


def _is_fork(stat: pids.Stat) -> bool:
    """Return whether its parent has the same name: a fork of a vital process, before it starts a program of its own."""
    parent = pids.read_stat(stat.parent)
    return parent is not None and parent.name == stat.name


def _read_exit(pidfd: int, identity: Identity) -> Exit:
    """Return how a process ended whose parent is not sparkd.

    Until its parent has read its wait status, /proc has it. Then the pidfd has it, since Linux 6.15.
    """
    status: int | None = None
    if (stat := pids.read_stat(identity.pid)) and stat.start_time == identity.start_time and stat.ended:
        status = stat.exit_status
    else:
        info = bytearray(PIDFD_INFO.pack(PIDFD_INFO_EXIT, 0))
        with suppress(OSError):
            fcntl.ioctl(pidfd, PIDFD_GET_INFO, info)
            mask, found = PIDFD_INFO.unpack(info)
            status = found if mask & PIDFD_INFO_EXIT else None
    if status is None:
        return Exit(None)
    if os.WIFSIGNALED(status):
        return Exit(None, os.WTERMSIG(status))
    return Exit(os.WEXITSTATUS(status))
