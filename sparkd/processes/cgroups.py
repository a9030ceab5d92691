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

DAEMON_GROUP: Final = "daemon"
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
        self._kill_fd = -1
        with suppress(OSError):  # Linux before 5.14 has none
            self._kill_fd = os.open(path / "cgroup.kill", os.O_WRONLY | os.O_CLOEXEC)

    @property
    def procs_file(self) -> Path:
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
            os.write(self._kill_fd, b"1")
            return
        for pid in self.members():
            if member := pids.identify(pid):
                pids.send_signal(member, signal.SIGKILL)

    def set_cpu_weight(self, weight: int) -> None:
        """Set its share of busy CPUs, 1 to 10000."""
        _write_cpu_weight(self.path, weight)

    def host_memory(self) -> tuple[int | None, int | None]:
        """Bytes of host memory charged to it, page cache included, now and at its highest. No GPU page is in them.

        None where the kernel keeps no such account: without the memory controller, the highest before Linux 5.19.
        """
        return _read_number(self.path / "memory.current"), _read_number(self.path / "memory.peak")

    def remove(self) -> None:
        """Remove it with those inside it. One that something lives in stays."""
        for folder in reversed(self._folders()):
            with suppress(OSError):
                folder.rmdir()
        if self._kill_fd >= 0:
            os.close(self._kill_fd)
            self._kill_fd = -1

    def _folders(self) -> list[Path]:
        """The cgroup and those an engine has made inside it, parents first."""
        return [Path(folder) for folder, _, _ in os.walk(self.path)]


class Cgroups:
    """The part of the tree that is ours."""

    def __init__(self, base: Path) -> None:
        self.base = base

    @classmethod
    def find_delegated(cls) -> Cgroups | None:
        """Return what systemd has delegated to this process, None where nothing is.

        With a leaf of our own, or with `DelegateSubgroup=`, we are one level below what was delegated.
        """
        base = _find_delegated_base()
        return cls(base) if base and os.access(base / "cgroup.procs", os.W_OK) else None

    @property
    def controllers(self) -> frozenset[str]:
        """Those that the cgroups in it have."""
        return read_controllers(self.base)

    def initialize(self, controllers: Iterable[str] = CONTROLLERS) -> None:
        """Move this process into a leaf of its own and pass controllers on. Raises OSError.

        May be done again, as after a re-exec. A controller that cannot be had is no failure.
        """
        own = _own_path()
        if own is None or own == self.base:
            own = self.base / DAEMON_GROUP
            own.mkdir(exist_ok=True)
            (own / "cgroup.procs").write_text(str(os.getpid()))
        available = set((self.base / "cgroup.controllers").read_text().split())
        for name in (name for name in controllers if name in available - self.controllers):
            # One at a time: the kernel takes all of a line or nothing. It may be busy with another's process.
            with suppress(OSError):
                (self.base / "cgroup.subtree_control").write_text(f"+{name}")
        _write_cpu_weight(own, DAEMON_WEIGHT)

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
                _write_cpu_weight(path, weight)
                return Cgroup(path)

    def find(self, name: str) -> list[Path]:
        """Paths of the cgroups that were made under this name and are still there."""
        own = f"{PREFIX}{name}"
        with suppress(OSError):
            return [path for path in self.base.iterdir() if path.is_dir() and _is_named(path, own)]
        return []


def claim() -> Cgroups | None:
    """Take over what systemd has delegated, and say once what cannot be had and why.

    In a unit that is a warning: it was meant to be otherwise. In a terminal it is as usual.
    """
    found, why = None, _explain_unavailable()
    if why is None and (found := Cgroups.find_delegated()) is not None:
        try:
            found.initialize()
        except OSError as error:
            found, why = None, f"cannot move into {error.filename or DAEMON_GROUP}: {error.strerror}"
    level = logging.WARNING if parse_unit(_read_own_cgroup()) else logging.INFO
    if found is None:
        message = "engines have no cgroups of their own, process groups have to do: %s"
        logger.log(level, message, why, extra=event("cgroups"))
    elif lacking := [name for name in CONTROLLERS if name not in found.controllers]:
        message = "%s has no cgroup controllers %s: no CPU weights without cpu, no host memory figures without memory"
        logger.log(level, message, found.base.name, ", ".join(lacking), extra=event("cgroups"))
    return found


def _explain_unavailable() -> str | None:
    """Why no cgroups can be had, as the end of a sentence; None where they can."""
    if find_mount() is None or _own_path() is None:
        return "this machine has no cgroup v2"
    if (base := _find_delegated_base()) is None:
        if (unit := parse_unit(_read_own_cgroup())) is None:
            return "systemd delegates none to what is started by hand"
        name = unit.rpartition("/")[2]
        return f"systemd has not delegated that of {name}: `sudo systemctl edit {name}`, Delegate=yes under [Service]"
    return None if os.access(base / "cgroup.procs", os.W_OK) else f"{base} is not writable"


def parse_unit(text: str) -> str | None:
    """The cgroup of the systemd unit in the text of /proc/PID/cgroup, cgroups(7); None for what was started by hand."""
    hierarchies = dict(line.split(":", 2)[1:] for line in text.splitlines())
    # With cgroup v1 systemd has a hierarchy of its own, name=systemd.
    parts = (hierarchies.get("") or hierarchies.get("name=systemd", "/")).removeprefix("/").split("/")
    # The innermost: a shell is in a scope, which may itself be in the unit of its user's systemd.
    depth = max((at for at, part in enumerate(parts) if part.endswith((".service", ".scope"))), default=0)
    return "/".join(parts[: depth + 1]) if parts[depth].endswith(".service") else None


def read_controllers(path: Path) -> frozenset[str]:
    """Controllers that the cgroups inside this one have."""
    with suppress(OSError):
        return frozenset((path / "cgroup.subtree_control").read_text().split())
    return frozenset()


def find_cgroup(pid: int, name: str) -> Path | None:
    """Return the path of the cgroup that a process is in if it was made under this name."""
    path = _find_path(pid)
    return path if path and _is_named(path, f"{PREFIX}{name}") else None


def _is_named(path: Path, own: str) -> bool:
    return path.name == own or path.name.startswith(f"{own}~")


def _find_delegated_base() -> Path | None:
    own = _own_path()
    return next((base for base in ((own, own.parent) if own else ()) if is_delegated(base)), None)


def _write_cpu_weight(path: Path, weight: int) -> None:
    """Set the share of busy CPUs; a cgroup without the controller has no such file, and all are alike."""
    with suppress(OSError):
        (path / "cpu.weight").write_text(str(weight))


def _read_number(path: Path) -> int | None:
    with suppress(OSError, ValueError):
        return int(path.read_text())
    return None


def _own_path() -> Path | None:
    return _find_path(os.getpid())


def _read_own_cgroup() -> str:
    with suppress(OSError):
        return Path("/proc/self/cgroup").read_text()
    return ""


def _find_path(pid: int) -> Path | None:
    mount = find_mount()
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
            if mount and line.startswith("0::/"):
                return mount / line.removeprefix("0::/")
    return None


def find_mount() -> Path | None:
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
