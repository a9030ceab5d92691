"""What `sparkctl doctor` looks at, as plain values: facts about a machine go in, findings come out."""

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

Level = Literal["ok", "warning", "wrong"]

DaemonState = Literal["running", "absent", "forbidden", "strange", "unknown"]
"""Who is at the control socket: sparkd, nobody, a sparkd that this user may not ask, somebody else, or no telling."""


class Finding(Struct, frozen=True, kw_only=True):
    """One thing looked at. `mend` is the command or the step that puts it right, None where nothing is to be done."""

    check: str
    level: Level
    found: str
    mend: str | None = None


Findings = Iterator[Finding]


@dataclass(frozen=True, slots=True)
class UnitState:
    """What systemd says of a unit, in its own words: `is-enabled` and `is-active`. `enabled` is empty without one."""

    enabled: str
    active: str


@dataclass(frozen=True, slots=True)
class KeyFile:
    """The file of API keys. `mode` is None where it cannot be looked at, `problem` why the daemon could not read it."""

    path: Path
    mode: int | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class PortState:
    """`server.listen`, tried: `problem` is why it cannot be opened, `taken` that another has it, `holder` who."""

    listen: str
    problem: str | None = None
    taken: bool = False
    holder: str | None = None


@dataclass(frozen=True, slots=True)
class DiskSpace:
    """Space left for a folder of `[paths]`, in bytes. The folder itself may not be there yet."""

    key: str
    folder: Path
    free: int


@dataclass(frozen=True, slots=True)
class ModelNeeds:
    """An enabled model: the runtime it needs, if any, and all that it needs on disk, its source first."""

    model: str
    runtime: str | None = None
    parts: tuple[SourceOnDisk, ...] = ()

    @property
    def presence(self) -> FileState:
        """How much of it is on disk."""
        return combine_states(self.parts)


@dataclass(frozen=True, slots=True)
class Readiness:
    """What models can start with: the enabled ones, the runtimes that they need (built or not), and the one among
    them to begin with. `needs_sudo`: fetching and building is for root."""

    models: tuple[ModelNeeds, ...] = ()
    runtimes: Mapping[str, bool] = field(default_factory=dict)
    suggested: ModelNeeds | None = None
    needs_sudo: bool = False


@dataclass(frozen=True, slots=True)
class Delegation:
    """The systemd unit that the daemon runs as, whether its cgroup was delegated to it, and which of the controllers
    that engines are weighed and measured by they have to do without."""

    unit: str
    delegated: bool
    missing_controllers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueFacts:
    """What the catalogue leads to."""

    enabled: int = 0
    disabled: int = 0
    key_file: KeyFile | None = None
    port: PortState | None = None
    disks: tuple[DiskSpace, ...] = ()
    readiness: Readiness = Readiness()


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything that was looked at. Sizes are bytes.

    `path` is the catalogue, None where none was found; `catalogue` is None where its files could not be read. `units`
    is None where systemd does not run. `memory` is None where the machine does not say, and `probe_error` then why.
    `has_driver` tells whether there is an NVIDIA driver's device. `swap_used` is swap in use,
    `version` this program's own.
    """

    path: Path | None = None
    problems: tuple[str, ...] = ()
    catalogue: CatalogueFacts | None = None
    daemon: DaemonState = "absent"
    daemon_error: str = ""
    status: Status | None = None
    units: Mapping[str, UnitState] | None = None
    delegation: Delegation | None = None
    gpu: Gpu | None = None
    has_driver: bool = False
    memory: Memory | None = None
    probe_error: str = ""
    floor: int = 0
    swap_used: int = 0
    version: str = ""
