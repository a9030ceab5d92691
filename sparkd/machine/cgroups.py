"""A cgroup per process, where systemd has delegated us a part of the tree (`Delegate=yes`).

Nothing that an engine forks can leave its cgroup, and one write ends all of it at once, forks in flight included.
Files: the kernel's Documentation/admin-guide/cgroup-v2.rst; delegation: systemd's docs/CGROUP_DELEGATION.md.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Final

from sparkd.machine import pids

PREFIX: Final = "sparkd-engine-"
"""Names of our cgroups begin with this, so that those of a killed sparkd are known."""

DELEGATED: Final = ("trusted.delegate", "user.delegate")
"""Extended attributes that systemd sets to "1" on a cgroup it has delegated."""


class Cgroup:
    """The cgroup of one process. Its kill switch is opened beforehand: a machine out of memory may not open files."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._kill = -1
        with suppress(OSError):  # Linux before 5.14 has none
            self._kill = os.open(path / "cgroup.kill", os.O_WRONLY | os.O_CLOEXEC)

    @property
    def entrance(self) -> Path:
        """The file a process writes its PID into to move in."""
        return self.path / "cgroup.procs"

    def members(self) -> list[int]:
        """PIDs of everything inside, zombies left out."""
        found: list[int] = []
        for folder in self._folders():
            with suppress(OSError):
                found.extend(map(int, (folder / "cgroup.procs").read_text().split()))
        return sorted(set(found))

    def kill(self) -> None:
        """SIGKILL to everything inside now."""
        with suppress(OSError):
            os.write(self._kill, b"1")
            return
        for pid in self.members():
            if who := pids.identity(pid):
                pids.send(who, signal.SIGKILL)

    def remove(self) -> None:
        """Remove it with those inside it. One that something lives in stays."""
        for folder in reversed(self._folders()):
            with suppress(OSError):
                folder.rmdir()
        if self._kill >= 0:
            os.close(self._kill)
            self._kill = -1

    def _folders(self) -> list[Path]:
        """The cgroup and those an engine has made inside it, parents first."""
        return [Path(folder) for folder, _, _ in os.walk(self.path)]


class Cgroups:
    """The part of the tree that is ours."""

    def __init__(self, base: Path) -> None:
        self.base = base

    @classmethod
    def delegated(cls) -> Cgroups | None:
        """Return what systemd has delegated to this process, None where nothing is.

        With `DelegateSubgroup=` we are one level below what was delegated.
        """
        own = _own()
        for base in (own, own.parent) if own else ():
            if is_delegated(base) and os.access(base / "cgroup.procs", os.W_OK):
                return cls(base)
        return None

    def create(self, name: str) -> Cgroup:
        """Make an empty cgroup. Raises OSError."""
        path = self.base / f"{PREFIX}{name}"
        count = 0
        while True:
            try:
                path.mkdir()
            except FileExistsError:  # something of an earlier sparkd refuses to die in there
                count += 1
                path = self.base / f"{PREFIX}{name}~{count}"
            else:
                return Cgroup(path)

    def named(self, name: str) -> list[Path]:
        """Paths of the cgroups that were made under this name and are still there."""
        own = f"{PREFIX}{name}"
        with suppress(OSError):
            return [path for path in self.base.iterdir() if path.is_dir() and _is(path, own)]
        return []


def cgroup_of(pid: int, name: str) -> Path | None:
    """Return the path of the cgroup that a process is in if it was made under this name."""
    path = _path_of(pid)
    return path if path and _is(path, f"{PREFIX}{name}") else None


def _is(path: Path, own: str) -> bool:
    return path.name == own or path.name.startswith(f"{own}~")


def _own() -> Path | None:
    return _path_of(os.getpid())


def _path_of(pid: int) -> Path | None:
    mounted = _mount()
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
            if mounted and line.startswith("0::/"):
                return mounted / line.removeprefix("0::/")
    return None


def _mount() -> Path | None:
    with suppress(OSError):
        for line in Path("/proc/self/mounts").read_text().splitlines():
            _, place, kind, *_ = line.split(" ")
            if kind == "cgroup2":
                return Path(place)
    return None


def is_delegated(path: Path) -> bool:
    """Whether systemd has delegated the cgroup at that path."""
    for attribute in DELEGATED:
        with suppress(OSError):
            return os.getxattr(path, attribute) == b"1"
    return False
