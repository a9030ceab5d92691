"""Finds the processes that belong to an engine, in /proc, and sends signals that cannot reach any other process.

A PID identifies a process only until the process is reaped; then the kernel may use it again. An `Identity` adds the
process's start time. The files of /proc read here never block, except `environ`, which blocks while its process hangs
inside the kernel. It is therefore read for very few processes. Fields of /proc/PID/stat: proc_pid_stat(5).
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
BOOT_ID = PROC / "sys/kernel/random/boot_id"


class Identity(NamedTuple):
    """Identifies one process: its PID and its start time, in clock ticks since boot."""

    pid: int
    start_time: int


class Stat(NamedTuple):
    """The fields of /proc/PID/stat that are used here."""

    state: str
    parent: int
    session: int
    start_time: int
    name: str
    """The first 15 characters of its title: of its program's name, unless it has set another."""
    exit_status: int
    """The wait status of a zombie. 0 before, and if this user may not read it."""

    @property
    def ended(self) -> bool:
        """Whether the process is a zombie or dead. A zombie has only its exit code left."""
        return self.state in "ZXx"


def read_stat(pid: int) -> Stat | None:
    """Read one process's state. None if the process does not exist."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - read by the hundred, pathlib doubles the cost
            text = file.read()
    except OSError:
        return None
    before, _, after = text.rpartition(b") ")  # the name may contain blanks and brackets
    fields = after.split()
    name = before.partition(b"(")[2].decode(errors="replace")
    return Stat(chr(fields[0][0]), int(fields[1]), int(fields[3]), int(fields[19]), name, int(fields[49]))


def identify(pid: int) -> Identity | None:
    """Return the identity of the process that has this PID now. None if there is none."""
    stat = read_stat(pid)
    return Identity(pid, stat.start_time) if stat else None


def is_running(process: Identity) -> bool:
    """Return whether this process still runs; a later process with the same PID does not count."""
    stat = read_stat(process.pid)
    return stat is not None and stat.start_time == process.start_time and not stat.ended


def send_signal(process: Identity, number: signal.Signals) -> None:
    """Send a signal to this process, if it still runs. A pidfd pins the PID before the identity is compared."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except OSError:
        return
    try:
        if is_running(process):
            with suppress(ProcessLookupError, PermissionError):
                signal.pidfd_send_signal(descriptor, number)
    finally:
        os.close(descriptor)


def find_family(directory: Path, leader: Identity | None) -> set[Identity]:
    """Return all running processes that descend from the process that was started in `directory`, the leader.

    These are the leader's session, its descendants, and every process whose working directory is in `directory`. The
    last rule finds a grandchild that left the session and was re-parented to init. Zombies are not included.
    """
    table = read_processes()
    family: set[int] = set()
    if leader is not None:
        present = leader.pid in table and table[leader.pid].start_time == leader.start_time
        for pid, stat in table.items():
            # Once the leader is reaped, a foreign process may get its PID and lead a session with that number.
            if stat.session == leader.pid and (present or _has_tmpdir(pid, directory)):
                family.add(pid)
        if present:
            family.add(leader.pid)
    family.update(pid for pid in table.keys() - family if _works_in(pid, directory))
    _add_descendants(family, table)
    return {Identity(pid, table[pid].start_time) for pid in family if not table[pid].ended}


def boot_id() -> str:
    """Return the id of this boot of the machine. PIDs and start times are only valid within one boot."""
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return ""


def read_processes() -> dict[int, Stat]:
    """Return all processes of our own user; only these can be our engines."""
    table: dict[int, Stat] = {}
    me = os.getuid()
    with os.scandir(PROC) as entries:
        for entry in entries:
            if not entry.name.isdecimal():
                continue
            with suppress(OSError):
                if me in (0, entry.stat().st_uid) and (stat := read_stat(int(entry.name))):
                    table[int(entry.name)] = stat
    return table


def _works_in(pid: int, directory: Path) -> bool:
    try:
        folder = os.readlink(f"/proc/{pid}/cwd").removesuffix(" (deleted)")  # noqa: PTH115 - by the hundred
    except OSError:
        return False
    return folder == str(directory) or folder.startswith(f"{directory}/")


def _has_tmpdir(pid: int, directory: Path) -> bool:
    try:
        environment = (PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return False
    return b"TMPDIR=" + os.fsencode(directory) in environment.split(b"\0")


def _add_descendants(family: set[int], table: dict[int, Stat]) -> None:
    children: dict[int, list[int]] = {}
    for pid, stat in table.items():
        children.setdefault(stat.parent, []).append(pid)
    unread = list(family)
    while unread:
        for child in children.get(unread.pop(), ()):
            if child not in family:
                family.add(child)
                unread.append(child)
