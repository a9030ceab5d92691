"""Processes that outlived a killed sparkd: records of them, and how the next sparkd kills them.

A record names its process by PID, start time and boot, so that no other process that gets the PID later is killed.
The private folder identifies the rest: any process with its working directory in it belongs to the engine, even if the
record cannot be read.
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
"""A folder's record is beside it, out of the engine's reach: `<folder>.json`."""

KILL_TIMEOUT: Final = 10.0
"""Seconds to wait for killed processes to exit. One that hangs in a driver must not block the start without limit."""

POLL: Final = 0.01


class RunRecord(Struct):
    """The record of one private folder: its model, the engine's first process (`leader`), and the sparkd that started
    it (`owner`)."""

    model: str = ""
    owner: Identity | None = None
    leader: Identity | None = None
    boot: str = field(default_factory=pids.boot_id)

    @property
    def is_of_this_boot(self) -> bool:
        """Whether the PIDs are valid: they are from the current boot."""
        return self.boot == pids.boot_id()

    @classmethod
    def read(cls, directory: Path) -> RunRecord:
        """Read a folder's record. Returns an empty one if it is missing or incomplete."""
        try:
            document = json.loads(_record_path(directory).read_bytes())
            return cls(
                model=str(document["model"]),
                owner=_parse_identity(document["owner"]),
                leader=_parse_identity(document["leader"]),
                boot=str(document["boot"]),
            )
        except (OSError, ValueError, LookupError, TypeError):
            return cls()

    def write(self, directory: Path) -> None:
        """Write the record beside the folder. If that fails (a full disk), the launch continues without a record."""
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
    """Kill every process that the record and the folder identify.

    Return a line for the journal if there were any, and whether all of them have exited.
    """
    leader = record.leader if record.is_of_this_boot else None
    killed: set[int] = set()
    cgroups: dict[Path, Cgroup] = {}
    loop = asyncio.get_running_loop()
    deadline = loop.time() + KILL_TIMEOUT
    while True:
        family = pids.find_family(directory, leader)
        for path in _find_cgroups(directory, family) - cgroups.keys():
            cgroups[path] = Cgroup(path)
        left = {member.pid for member in family}.union(*(cgroup.members() for cgroup in cgroups.values()))
        if not left or loop.time() > deadline:
            break
        killed |= left
        for cgroup in cgroups.values():
            cgroup.kill()
        for member in family:
            pids.send_signal(member, signal.SIGKILL)
        await asyncio.sleep(POLL)
    for cgroup in cgroups.values():
        cgroup.remove()
    name = record.model or directory.name
    if left:
        message = f"Cannot kill processes of {name} that a killed sparkd left: {_format_pids(left)}."
        return f"{message} If they use memory, restart the machine.", False
    message = f"Killed processes of {name} that a killed sparkd left: {_format_pids(killed)}"
    return (message if killed else None), True


def _find_cgroups(directory: Path, family: set[Identity]) -> set[Path]:
    """Return the folder's cgroups: those in our part of the tree, and those that its processes are in."""
    delegated = Cgroups.find_delegated()
    paths = set(delegated.find(directory.name)) if delegated else set()
    return paths | {path for member in family if (path := find_cgroup(member.pid, directory.name))}


def _record_path(directory: Path) -> Path:
    return directory.with_name(directory.name + RECORD_SUFFIX)


def _parse_identity(value: Any) -> Identity | None:
    return None if value is None else Identity(int(value[0]), int(value[1]))


def _format_pids(process_ids: set[int]) -> str:
    return "PID " + ", ".join(map(str, sorted(process_ids)))
