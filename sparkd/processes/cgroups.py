"""Gives each engine a cgroup of its own, if systemd delegates a part of the tree to sparkd (`Delegate=yes`).

    sparkd.service/                  delegated; contains no process, because that would block the controllers below it
    ├── daemon/                      sparkd itself
    └── sparkd-engine-<folder>/      one engine and everything it forks

Nothing that an engine forks can leave its cgroup. One write kills everything in it, including processes that are being
forked at that moment.
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
"""Prefix of our cgroups' names. It identifies those of a killed sparkd."""

DAEMON_GROUP: Final = "daemon"
"""The cgroup that sparkd itself moves into. systemd 254 and newer could start it there (DelegateSubgroup=); this
works with every version."""

CONTROLLERS: Final = ("cpu", "memory", "pids")
"""The controllers that limit and measure engines."""

DAEMON_WEIGHT: Final = 10000
"""The daemon's cpu.weight, the maximum: it needs little CPU time, but must answer while engines compile."""

ENGINE_WEIGHT: Final = 100
"""An engine's cpu.weight, the default of every cgroup."""

DELEGATED: Final = ("trusted.delegate", "user.delegate")
"""Extended attributes that systemd sets to "1" on a cgroup it has delegated."""


class Cgroup:
    """The cgroup of one engine. Opens `cgroup.kill` in advance: without memory, opening a file may fail."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._kill_fd = -1
        with suppress(OSError):  # Linux before 5.14 has no such file
            self._kill_fd = os.open(path / "cgroup.kill", os.O_WRONLY | os.O_CLOEXEC)

    @property
    def procs_file(self) -> Path:
        """A process that writes its PID into this file moves into the cgroup."""
        return self.path / "cgroup.procs"

    def members(self) -> list[int]:
        """Return the PIDs of all processes in the cgroup, without zombies."""
        process_ids: list[int] = []
        for folder in self._folders():
            with suppress(OSError):
                process_ids.extend(map(int, (folder / "cgroup.procs").read_text().split()))
        return sorted(set(process_ids))

    def kill(self) -> None:
        """Send SIGKILL to every process in the cgroup now."""
        with suppress(OSError):
            os.write(self._kill_fd, b"1")
            return
        for pid in self.members():
            if member := pids.identify(pid):
                pids.send_signal(member, signal.SIGKILL)

    def set_cpu_weight(self, weight: int) -> None:
        """Set the cgroup's share of busy CPUs, 1 to 10000."""
        _write_cpu_weight(self.path, weight)

    def host_memory(self) -> tuple[int | None, int | None]:
        """Return the bytes of host memory charged to it, now and at the peak. Includes page cache, excludes GPU memory.

        None if the kernel does not report it: both without the memory controller, the peak before Linux 5.19.
        """
        return _read_number(self.path / "memory.current"), _read_number(self.path / "memory.peak")

    def remove(self) -> None:
        """Remove the cgroup and those inside it. A cgroup that still contains a process stays."""
        for folder in reversed(self._folders()):
            with suppress(OSError):
                folder.rmdir()
        if self._kill_fd >= 0:
            os.close(self._kill_fd)
            self._kill_fd = -1

    def _folders(self) -> list[Path]:
        """Return the cgroup and those that its engine has created inside it, parents first."""
        return [Path(folder) for folder, _, _ in os.walk(self.path)]


class Cgroups:
    """The part of the cgroup tree that systemd has delegated to sparkd."""

    def __init__(self, base: Path) -> None:
        self.base = base

    @classmethod
    def find_delegated(cls) -> Cgroups | None:
        """Return the cgroup that systemd has delegated to this process. None if there is none.

        After `initialize`, or with `DelegateSubgroup=`, this process is one level below the delegated cgroup.
        """
        base = _find_delegated_base()
        return cls(base) if base and os.access(base / "cgroup.procs", os.W_OK) else None

    @property
    def controllers(self) -> frozenset[str]:
        """The controllers that the cgroups in it have."""
        return read_controllers(self.base)

    def initialize(self, controllers: Iterable[str] = CONTROLLERS) -> None:
        """Move this process into a cgroup of its own and enable controllers for the engines. Raises OSError.

        May be called again, as after a re-exec. An unavailable controller is not an error.
        """
        own = _own_path()
        if own is None or own == self.base:
            own = self.base / DAEMON_GROUP
            own.mkdir(exist_ok=True)
            (own / "cgroup.procs").write_text(str(os.getpid()))
        available = set((self.base / "cgroup.controllers").read_text().split())
        for name in (name for name in controllers if name in available - self.controllers):
            # One at a time: the kernel accepts a whole line or nothing. A write may fail while a process moves.
            with suppress(OSError):
                (self.base / "cgroup.subtree_control").write_text(f"+{name}")
        _write_cpu_weight(own, DAEMON_WEIGHT)

    def create(self, name: str, weight: int = ENGINE_WEIGHT) -> Cgroup:
        """Create an empty cgroup; `weight` is its share of busy CPUs, 1 to 10000. Raises OSError."""
        path = self.base / f"{PREFIX}{name}"
        count = 0
        while True:
            try:
                path.mkdir()
            except FileExistsError:  # it contains a process of an earlier sparkd that cannot be killed
                count += 1
                path = self.base / f"{PREFIX}{name}~{count}"
            else:
                _write_cpu_weight(path, weight)
                return Cgroup(path)

    def find(self, name: str) -> list[Path]:
        """Return the paths of the existing cgroups that were created under this name."""
        full_name = f"{PREFIX}{name}"
        with suppress(OSError):
            return [path for path in self.base.iterdir() if path.is_dir() and _is_named(path, full_name)]
        return []


def claim() -> Cgroups | None:
    """Take over the delegated cgroup. Logs once what is unavailable, and why.

    In a systemd unit this is a warning, because the unit should delegate. In a terminal it is normal, so it is info.
    """
    delegated, reason = None, _explain_unavailable()
    if reason is None and (delegated := Cgroups.find_delegated()) is not None:
        try:
            delegated.initialize()
        except OSError as error:
            delegated, reason = None, f"cannot move into {error.filename or DAEMON_GROUP}: {error.strerror}"
    level = logging.WARNING if parse_unit(_read_own_cgroup()) else logging.INFO
    if delegated is None:
        message = (
            "Engines run without cgroups of their own; sparkd finds their processes in /proc instead: %s"
        )
        logger.log(level, message, reason, extra=event("cgroups"))
    elif missing := [name for name in CONTROLLERS if name not in delegated.controllers]:
        message = "%s has no cgroup controllers %s: CPU weights need cpu, host memory figures need memory"
        logger.log(level, message, delegated.base.name, ", ".join(missing), extra=event("cgroups"))
    return delegated


def _explain_unavailable() -> str | None:
    """Return why cgroups are unavailable, as the end of a sentence. None if they are available."""
    if find_mount() is None or _own_path() is None:
        return "this machine has no cgroup v2"
    if (base := _find_delegated_base()) is None:
        if (unit := parse_unit(_read_own_cgroup())) is None:
            return "sparkd was started by hand, and systemd delegates cgroups only to its units"
        name = unit.rpartition("/")[2]
        return f"{name} has no Delegate=yes; run `sudo systemctl edit {name}` and add it under [Service]"
    return None if os.access(base / "cgroup.procs", os.W_OK) else f"{base} is not writable"


def parse_unit(text: str) -> str | None:
    """Return the cgroup of the systemd unit in the text of /proc/PID/cgroup, cgroups(7). None if started by hand."""
    hierarchies = dict(line.split(":", 2)[1:] for line in text.splitlines())
    # With cgroup v1, systemd uses the hierarchy name=systemd.
    parts = (hierarchies.get("") or hierarchies.get("name=systemd", "/")).removeprefix("/").split("/")
    # The innermost one: a shell is in a scope, which may be in the unit of the user's systemd.
    depth = max((at for at, part in enumerate(parts) if part.endswith((".service", ".scope"))), default=0)
    return "/".join(parts[: depth + 1]) if parts[depth].endswith(".service") else None


def read_controllers(path: Path) -> frozenset[str]:
    """Return the controllers that the cgroups inside this one have."""
    with suppress(OSError):
        return frozenset((path / "cgroup.subtree_control").read_text().split())
    return frozenset()


def find_cgroup(pid: int, name: str) -> Path | None:
    """Return the path of a process's cgroup if it was created under this name, otherwise None."""
    path = _find_path(pid)
    return path if path and _is_named(path, f"{PREFIX}{name}") else None


def _is_named(path: Path, full_name: str) -> bool:
    return path.name == full_name or path.name.startswith(f"{full_name}~")


def _find_delegated_base() -> Path | None:
    own = _own_path()
    return next((base for base in ((own, own.parent) if own else ()) if is_delegated(base)), None)


def _write_cpu_weight(path: Path, weight: int) -> None:
    """Set the share of busy CPUs. Without the cpu controller the file is missing and all cgroups have equal shares."""
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
    """Return the mount point of cgroup v2. None if it is not mounted."""
    with suppress(OSError):
        for line in Path("/proc/self/mounts").read_text().splitlines():
            _, mount_point, kind, *_ = line.split(" ")
            if kind == "cgroup2":
                return Path(mount_point)
    return None


def is_delegated(path: Path) -> bool:
    """Return whether systemd has delegated the cgroup at this path."""
    for attribute in DELEGATED:
        with suppress(OSError):
            return os.getxattr(path, attribute) == b"1"
    return False
