"""Which PIDs belong together, read from /proc, and signals that cannot hit a stranger.

A PID alone names nobody for long: it is used again after its process is reaped. An `Identity` adds the moment the
process started. Files of /proc read here never wait for the process they speak of; `environ` does when that
process hangs inside the kernel, so it is read for very few. Fields of /proc/PID/stat: proc_pid_stat(5).
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
    """One process and no later one: its PID, and when it started in clock ticks since boot."""

    pid: int
    start_time: int


class Stat(NamedTuple):
    """What /proc/PID/stat says of a process, as far as it matters here."""

    state: str
    parent: int
    session: int
    start_time: int

    @property
    def ended(self) -> bool:
        """A zombie holds nothing any more but its exit code."""
        return self.state in "ZXx"


def stat(pid: int) -> Stat | None:
    """Read one process's state; None when there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - read by the hundred, pathlib doubles the cost
            text = file.read()
    except OSError:
        return None
    fields = text[text.rindex(b")") + 2 :].split()  # the name before it may hold blanks and brackets
    return Stat(chr(fields[0][0]), int(fields[1]), int(fields[3]), int(fields[19]))


def identity(pid: int) -> Identity | None:
    """Return who has this PID now; None when nobody has."""
    found = stat(pid)
    return Identity(pid, found.start_time) if found else None


def lives(who: Identity) -> bool:
    """Whether this very process still runs."""
    found = stat(who.pid)
    return found is not None and found.start_time == who.start_time and not found.ended


def send(who: Identity, number: signal.Signals) -> None:
    """Signal this very process, or nobody if it has ended: the PID is pinned before it is compared."""
    try:
        descriptor = os.pidfd_open(who.pid)
    except OSError:
        return
    try:
        if lives(who):
            with suppress(ProcessLookupError, PermissionError):
                signal.pidfd_send_signal(descriptor, number)
    finally:
        os.close(descriptor)


def belonging(directory: Path, leader: Identity | None) -> set[Identity]:
    """Everything that still runs and was started, at any remove, by the process that was started in `directory`.

    That is: the leader's session, the leader's descendants, and whatever works inside `directory`: a grandchild
    that left the session and was re-parented to init is found by that. Zombies are not counted.
    """
    table = _table()
    family: set[int] = set()
    if leader is not None:
        present = leader.pid in table and table[leader.pid].start_time == leader.start_time
        for pid, found in table.items():
            # With the leader reaped, its PID may have been given to a stranger who leads a session of that number.
            if found.session == leader.pid and (present or _carries(pid, directory)):
                family.add(pid)
        if present:
            family.add(leader.pid)
    family.update(pid for pid in table.keys() - family if _works_in(pid, directory))
    _add_descendants(family, table)
    return {Identity(pid, table[pid].start_time) for pid in family if not table[pid].ended}


def boot_id() -> str:
    """Return the name of this boot of the machine: PIDs and start times mean nothing across two of them."""
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return ""


def _table() -> dict[int, Stat]:
    """All processes of our own user; others cannot be engines of ours."""
    table: dict[int, Stat] = {}
    me = os.getuid()
    with os.scandir(PROC) as entries:
        for entry in entries:
            if not entry.name.isdecimal():
                continue
            with suppress(OSError):
                if me in (0, entry.stat().st_uid) and (found := stat(int(entry.name))):
                    table[int(entry.name)] = found
    return table


def _works_in(pid: int, directory: Path) -> bool:
    try:
        folder = os.readlink(f"/proc/{pid}/cwd").removesuffix(" (deleted)")  # noqa: PTH115 - by the hundred
    except OSError:
        return False
    return folder == str(directory) or folder.startswith(f"{directory}/")


def _carries(pid: int, directory: Path) -> bool:
    try:
        environment = (PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return False
    return b"TMPDIR=" + os.fsencode(directory) in environment.split(b"\0")


def _add_descendants(family: set[int], table: dict[int, Stat]) -> None:
    children: dict[int, list[int]] = {}
    for pid, found in table.items():
        children.setdefault(found.parent, []).append(pid)
    unread = list(family)
    while unread:
        for child in children.get(unread.pop(), ()):
            if child not in family:
                family.add(child)
                unread.append(child)
