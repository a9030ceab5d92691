"""Processes that outlived a killed sparkd: what is noted about them, and how the next sparkd ends them.

A record names its process by PID, start time and boot, so that a stranger who got the PID later is never meant.
The process's own folder says the rest: whatever works in it is an engine's, also where the record is unreadable.
"""

from __future__ import annotations

import asyncio
import json
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from msgspec import Struct, field

from sparkd.processes import pids
from sparkd.processes.cgroups import Cgroup, Cgroups, find_cgroup
from sparkd.processes.pids import Identity

RECORD_SUFFIX: Final = ".json"
"""A folder's record is beside it, where its engine does not look: `<folder>.json`."""

KILL_TIMEOUT: Final = 10.0
"""Seconds that killed processes have to be gone; one that hangs in a driver must not hold up the start for ever."""

POLL: Final = 0.01


class RunRecord(Struct):
    """What is noted about one private folder: who uses it, on behalf of which sparkd (`owner`)."""

    model: str = ""
    owner: Identity | None = None
    leader: Identity | None = None
    boot: str = field(default_factory=pids.boot_id)

    @property
    def is_of_this_boot(self) -> bool:
        """Whether its PIDs mean anything."""
        return self.boot == pids.boot_id()

    @classmethod
    def read(cls, directory: Path) -> RunRecord:
        """Read a folder's record; an empty one where it is missing or half-written."""
        try:
            found = json.loads(_record_path(directory).read_bytes())
            return cls(
                model=str(found["model"]),
                owner=_parse_identity(found["owner"]),
                leader=_parse_identity(found["leader"]),
                boot=str(found["boot"]),
            )
        except (OSError, ValueError, LookupError, TypeError):
            return cls()

    def write(self, directory: Path) -> None:
        """Put the record beside the folder. A full disk costs us the record and not the launch."""
        document = {
            "model": self.model,
            "owner": self.owner,
            "leader": self.leader,
            "boot": self.boot,
        }
        path = _record_path(directory)
        new = path.with_name(path.name + ".new")
        with suppress(OSError):
            new.write_text(json.dumps(document))
            new.replace(path)


async def kill_orphans(directory: Path, record: RunRecord) -> tuple[str | None, bool]:
    """End everything that the record and the folder tell of.

    Return a line for the journal if anything lived, and whether all of it is gone.
    """
    leader = record.leader if record.is_of_this_boot else None
    ended: set[int] = set()
    cgroups: dict[Path, Cgroup] = {}
    loop = asyncio.get_running_loop()
    deadline = loop.time() + KILL_TIMEOUT
    while True:
        found = pids.find_family(directory, leader)
        for path in _find_cgroups(directory, found) - cgroups.keys():
            cgroups[path] = Cgroup(path)
        left = {member.pid for member in found}.union(*(cgroup.members() for cgroup in cgroups.values()))
        if not left or loop.time() > deadline:
            break
        ended |= left
        for cgroup in cgroups.values():
            cgroup.kill()
        for member in found:
            pids.send_signal(member, signal.SIGKILL)
        await asyncio.sleep(POLL)
    for cgroup in cgroups.values():
        cgroup.remove()
    name = record.model or directory.name
    if left:
        return f"{name}: what a killed sparkd left of it cannot be ended: {_format_pids(left)}", False
    return (f"{name}: ended what a killed sparkd left of it: {_format_pids(ended)}" if ended else None), True


def _find_cgroups(directory: Path, found: set[Identity]) -> set[Path]:
    """The folder's cgroups: those we can see, and those that its processes are in."""
    delegated = Cgroups.find_delegated()
    paths = set(delegated.find(directory.name)) if delegated else set()
    return paths | {path for member in found if (path := find_cgroup(member.pid, directory.name))}


def _record_path(directory: Path) -> Path:
    return directory.with_name(directory.name + RECORD_SUFFIX)


def _parse_identity(found: Any) -> Identity | None:
    return None if found is None else Identity(int(found[0]), int(found[1]))


def _format_pids(found: set[int]) -> str:
    return "PID " + ", ".join(map(str, sorted(found)))
