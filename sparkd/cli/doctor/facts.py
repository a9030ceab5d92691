"""What `sparkctl doctor` checks, as plain values: facts about a machine go in, findings come out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from msgspec import Struct

from sparkd.hub.files import FileState, SourceOnDisk, combine_states
from sparkd.machine.memory import Memory
from sparkd.machine.nvml import Gpu
from sparkd.scheduling.status import Status

Level = Literal["ok", "warning", "error"]

DaemonState = Literal["running", "absent", "forbidden", "foreign", "unknown"]
"""What is at the control socket: sparkd, nothing, a sparkd that denies access, another program, or unknown."""


class Finding(Struct, frozen=True, kw_only=True):
    """The result of one check. `fix` is the command or the step that fixes the problem, None if there is none."""

    check: str
    level: Level
    message: str
    fix: str | None = None


Findings = Iterator[Finding]


@dataclass(frozen=True, slots=True)
class UnitState:
    """A unit's `is-enabled` and `is-active`, in systemd's own terms. `enabled` is empty if there is no such unit."""

    enabled: str
    active: str


@dataclass(frozen=True, slots=True)
class KeyFile:
    """The API key file. `mode` is None if unknown, `problem` is why the daemon could not read it.

    `unmatched` says which keys and tables of the catalogue have no counterpart.
    """

    path: Path
    mode: int | None = None
    problem: str | None = None
    unmatched: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PortState:
    """An address of `server.listen`, tested: `problem` is why it cannot be opened, `taken` that it is in use, `holder`
    by what."""

    listen: str
    problem: str | None = None
    taken: bool = False
    holder: str | None = None


@dataclass(frozen=True, slots=True)
class DiskSpace:
    """Free space for a folder of `[paths]`, in bytes. The folder itself may not exist yet."""

    key: str
    folder: Path
    free: int


@dataclass(frozen=True, slots=True)
class ModelNeeds:
    """An enabled model: its runtime, if any, and everything it needs on disk, its source first."""

    model: str
    runtime: str | None = None
    parts: tuple[SourceOnDisk, ...] = ()

    @property
    def presence(self) -> FileState:
        """How much of it is on disk."""
        return combine_states(self.parts)


@dataclass(frozen=True, slots=True)
class Readiness:
    """The enabled models, the runtimes that they need (built or not), and the model to begin with. `needs_sudo`:
    downloads and builds need root."""

    models: tuple[ModelNeeds, ...] = ()
    runtimes: Mapping[str, bool] = field(default_factory=dict)
    suggested: ModelNeeds | None = None
    needs_sudo: bool = False


@dataclass(frozen=True, slots=True)
class Delegation:
    """The systemd unit that the daemon runs as, whether its cgroup is delegated, and which controllers for weighing
    and measuring engines are missing."""

    unit: str
    delegated: bool
    missing_controllers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueFacts:
    """What the catalogue refers to. `hosts` is `server.hosts`."""

    enabled: int = 0
    disabled: int = 0
    key_file: KeyFile | None = None
    ports: tuple[PortState, ...] = ()
    hosts: tuple[str, ...] = ()
    disks: tuple[DiskSpace, ...] = ()
    readiness: Readiness = Readiness()


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All facts. Sizes are bytes.

    `path` is the catalogue's file, None if there is none; `catalogue` is None if its files could not be read. `units`
    is None without systemd. `memory` is None if unknown, and `probe_error` is why. `has_driver`: the NVIDIA driver's
    device exists. `unit_listen` has the addresses at which systemd listens for sparkd, `bridges` those of Docker's own
    network on this machine. `swap_used` is the swap in use, `version` the version of this program.
    """

    path: Path | None = None
    problems: tuple[str, ...] = ()
    catalogue: CatalogueFacts | None = None
    daemon: DaemonState = "absent"
    daemon_error: str = ""
    status: Status | None = None
    units: Mapping[str, UnitState] | None = None
    unit_listen: tuple[str, ...] = ()
    bridges: tuple[str, ...] = ()
    delegation: Delegation | None = None
    gpu: Gpu | None = None
    has_driver: bool = False
    memory: Memory | None = None
    probe_error: str = ""
    floor: int = 0
    swap_used: int = 0
    version: str = ""

    @property
    def listen(self) -> tuple[str, ...]:
        """Where sparkd listens, or would listen."""
        if self.status is not None:
            return self.status.listen
        planned = self.catalogue.ports if self.catalogue else ()
        return self.unit_listen or tuple(port.listen for port in planned)
