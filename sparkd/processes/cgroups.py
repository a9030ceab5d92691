"""A cgroup per process, where systemd has delegated us a part of the tree (`Delegate=yes`).

    sparkd.service/                  what is delegated: no process in it, or no controller could be given further down
    ├── daemon/                      sparkd itself
    └── sparkd-engine-<folder>/      one engine and whatever it forks

Nothing that an engine forks can leave its cgroup, and one write ends all of it at once, forks in flight included.
Files: the kernel's Documentation/admin-guide/cgroup-v2.rst; delegation: systemd's docs/CGROUP_DELEGATION.md.
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from sparkd.journal.handler import event
from sparkd.processes import pids

logger = logging.getLogger(__name__)

PREFIX: Final = "sparkd-engine-"
"""Names of our cgroups begin with this, so that those of a killed sparkd are known."""

LEAF: Final = "daemon"
"""The cgroup that sparkd itself moves into. systemd 254 and newer could start it there (DelegateSubgroup=); this works
on all of them."""

CONTROLLERS: Final = ("cpu", "memory", "pids")
"""What engines are weighed and measured by."""

DAEMON_WEIGHT: Final = 10000
"""The daemon's cpu.weight, the largest there is: it needs little, and has to answer while engines compile."""

ENGINE_WEIGHT: Final = 100
"""An engine's, as every other cgroup's."""

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

    def weigh(self, weight: int) -> None:
        """Set its share of busy CPUs, 1 to 10000."""
        _weigh(self.path, weight)

    def host_memory(self) -> tuple[int | None, int | None]:
        """Bytes of host memory charged to it, page cache included, now and at its highest. No GPU page is in them.

        None where the kernel keeps no such account: without the memory controller, the highest before Linux 5.19.
        """
        return _number(self.path / "memory.current"), _number(self.path / "memory.peak")

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

        With a leaf of our own, or with `DelegateSubgroup=`, we are one level below what was delegated.
        """
        base = _delegated_base()
        return cls(base) if base and os.access(base / "cgroup.procs", os.W_OK) else None

    @property
    def controllers(self) -> frozenset[str]:
        """Those that the cgroups in it have."""
        return controllers_below(self.base)

    def settle(self, wanted: Iterable[str] = CONTROLLERS) -> None:
        """Move this process into a leaf of its own and pass controllers on. Raises OSError.

        May be done again, as after a re-exec. A controller that cannot be had is no failure.
        """
        own = _own()
        if own is None or own == self.base:
            own = self.base / LEAF
            own.mkdir(exist_ok=True)
            (own / "cgroup.procs").write_text(str(os.getpid()))
        there = set((self.base / "cgroup.controllers").read_text().split())
        for name in (name for name in wanted if name in there - self.controllers):
            # One at a time: the kernel takes all of a line or nothing. It may be busy with another's process.
            with suppress(OSError):
                (self.base / "cgroup.subtree_control").write_text(f"+{name}")
        _weigh(own, DAEMON_WEIGHT)

    def create(self, name: str, weight: int = ENGINE_WEIGHT) -> Cgroup:
        """Make an empty cgroup; `weight` is its share of busy CPUs, 1 to 10000. Raises OSError."""
        path = self.base / f"{PREFIX}{name}"
        count = 0
        while True:
            try:
                path.mkdir()
            except FileExistsError:  # something of an earlier sparkd refuses to die in there
                count += 1
                path = self.base / f"{PREFIX}{name}~{count}"
            else:
                _weigh(path, weight)
                return Cgroup(path)

    def named(self, name: str) -> list[Path]:
        """Paths of the cgroups that were made under this name and are still there."""
        own = f"{PREFIX}{name}"
        with suppress(OSError):
            return [path for path in self.base.iterdir() if path.is_dir() and _is(path, own)]
        return []


def claim() -> Cgroups | None:
    """Take over what systemd has delegated, and say once what cannot be had and why.

    In a unit that is a warning: it was meant to be otherwise. In a terminal it is as usual.
    """
    found, why = None, _why_none()
    if why is None and (found := Cgroups.delegated()) is not None:
        try:
            found.settle()
        except OSError as error:
            found, why = None, f"cannot move into {error.filename or LEAF}: {error.strerror}"
    level = logging.WARNING if unit_in(_told()) else logging.INFO
    if found is None:
        told = "engines have no cgroups of their own, process groups have to do: %s"
        logger.log(level, told, why, extra=event("cgroups"))
    elif lacking := [name for name in CONTROLLERS if name not in found.controllers]:
        told = "%s has no cgroup controllers %s: no CPU weights without cpu, no host memory figures without memory"
        logger.log(level, told, found.base.name, ", ".join(lacking), extra=event("cgroups"))
    return found


def _why_none() -> str | None:
    """Why no cgroups can be had, as the end of a sentence; None where they can."""
    if mounted() is None or _own() is None:
        return "this machine has no cgroup v2"
    if (base := _delegated_base()) is None:
        if (unit := unit_in(_told())) is None:
            return "systemd delegates none to what is started by hand"
        name = unit.rpartition("/")[2]
        return f"systemd has not delegated that of {name}: `sudo systemctl edit {name}`, Delegate=yes under [Service]"
    return None if os.access(base / "cgroup.procs", os.W_OK) else f"{base} is not writable"


def unit_in(told: str) -> str | None:
    """The cgroup of the systemd unit in the text of /proc/PID/cgroup, cgroups(7); None for what was started by hand."""
    places = dict(line.split(":", 2)[1:] for line in told.splitlines())
    # With cgroup v1 systemd has a hierarchy of its own, name=systemd.
    parts = (places.get("") or places.get("name=systemd", "/")).removeprefix("/").split("/")
    # The innermost: a shell is in a scope, which may itself be in the unit of its user's systemd.
    depth = max((at for at, part in enumerate(parts) if part.endswith((".service", ".scope"))), default=0)
    return "/".join(parts[: depth + 1]) if parts[depth].endswith(".service") else None


def controllers_below(path: Path) -> frozenset[str]:
    """Controllers that the cgroups inside this one have."""
    with suppress(OSError):
        return frozenset((path / "cgroup.subtree_control").read_text().split())
    return frozenset()


def cgroup_of(pid: int, name: str) -> Path | None:
    """Return the path of the cgroup that a process is in if it was made under this name."""
    path = _path_of(pid)
    return path if path and _is(path, f"{PREFIX}{name}") else None


def _is(path: Path, own: str) -> bool:
    return path.name == own or path.name.startswith(f"{own}~")


def _delegated_base() -> Path | None:
    own = _own()
    return next((base for base in ((own, own.parent) if own else ()) if is_delegated(base)), None)


def _weigh(path: Path, weight: int) -> None:
    """Set the share of busy CPUs; a cgroup without the controller has no such file, and all are alike."""
    with suppress(OSError):
        (path / "cpu.weight").write_text(str(weight))


def _number(path: Path) -> int | None:
    with suppress(OSError, ValueError):
        return int(path.read_text())
    return None


def _own() -> Path | None:
    return _path_of(os.getpid())


def _told() -> str:
    with suppress(OSError):
        return Path("/proc/self/cgroup").read_text()
    return ""


def _path_of(pid: int) -> Path | None:
    mount = mounted()
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
            if mount and line.startswith("0::/"):
                return mount / line.removeprefix("0::/")
    return None


def mounted() -> Path | None:
    """Where cgroup v2 is, None where it is not."""
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
