"""Processes that outlived a killed sparkd: what is noted about them, and how the next sparkd ends them.

A record names its process by PID, start time and boot, so that a stranger who got the PID later is never meant.
The process's own folder says the rest: whatever works in it is an engine's, also where the record is unreadable.
"""

from __future__ import annotations

import asyncio
import json
import signal
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sparkd.processes import pids
from sparkd.processes.cgroups import Cgroup, Cgroups, cgroup_of
from sparkd.processes.pids import Identity

RECORD: Final = ".json"
"""A folder's record is beside it, where its engine does not look: `<folder>.json`."""

PATIENCE: Final = 10.0
"""Seconds that killed processes have to be gone; one that hangs in a driver must not hold up the start for ever."""

POLL: Final = 0.01


@dataclass(slots=True)
class Record:
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
    def read(cls, directory: Path) -> Record:
        """Read a folder's record; an empty one where it is missing or half-written."""
        try:
            found = json.loads(_path(directory).read_bytes())
            return cls(
                model=str(found["model"]),
                owner=_identity(found["owner"]),
                leader=_identity(found["leader"]),
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
        path = _path(directory)
        new = path.with_name(path.name + ".new")
        with suppress(OSError):
            new.write_text(json.dumps(document))
            new.replace(path)


async def end(directory: Path, record: Record) -> tuple[str | None, bool]:
    """End everything that the record and the folder tell of.

    Return a line for the journal if anything lived, and whether all of it is gone.
    """
    leader = record.leader if record.is_of_this_boot else None
    ended: set[int] = set()
    cgroups: dict[Path, Cgroup] = {}
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE
    while True:
        found = pids.belonging(directory, leader)
        for path in _cgroups(directory, found) - cgroups.keys():
            cgroups[path] = Cgroup(path)
        left = {who.pid for who in found}.union(*(cgroup.members() for cgroup in cgroups.values()))
        if not left or loop.time() > deadline:
            break
        ended |= left
        for cgroup in cgroups.values():
            cgroup.kill()
        for who in found:
            pids.send(who, signal.SIGKILL)
        await asyncio.sleep(POLL)
    for cgroup in cgroups.values():
        cgroup.remove()
    name = record.model or directory.name
    if left:
        return f"{name}: what a killed sparkd left of it cannot be ended: {_list(left)}", False
    return (f"{name}: ended what a killed sparkd left of it: {_list(ended)}" if ended else None), True


def _cgroups(directory: Path, found: set[Identity]) -> set[Path]:
    """The folder's cgroups: those we can see, and those that its processes are in."""
    delegated = Cgroups.delegated()
    paths = set(delegated.named(directory.name)) if delegated else set()
    return paths | {path for who in found if (path := cgroup_of(who.pid, directory.name))}


def _path(directory: Path) -> Path:
    return directory.with_name(directory.name + RECORD)


def _identity(found: Any) -> Identity | None:
    return None if found is None else Identity(int(found[0]), int(found[1]))


def _list(found: set[int]) -> str:
    return "PID " + ", ".join(map(str, sorted(found)))
