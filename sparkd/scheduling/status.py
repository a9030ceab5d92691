"""What sparkd tells about itself: the answer of `GET /status`, and what `sparkctl status` prints.

Plain frozen values, encoded with msgspec. Durations are float seconds, sizes are bytes. A moment in time
never appears, only how long something has lasted or will last: no clock needs to agree with another.
"""

from __future__ import annotations

from typing import Literal, Protocol

from msgspec import Struct

from sparkd.catalog.definitions import Lifecycle
from sparkd.catalog.settings import OnBusy
from sparkd.scheduling.books import NEVER, Entry
from sparkd.scheduling.deadlines import idle_end
from sparkd.scheduling.lifecycle import State
from sparkd.scheduling.memory import Basis

StateName = Literal["stopped", "starting", "ready", "draining", "stopping", "backoff"]


class GuardAction(Struct, frozen=True, kw_only=True):
    """A time that the memory guard ended a model: which, and how long ago (seconds)."""

    model: str
    ago: float


class MemoryStatus(Struct, frozen=True, kw_only=True):
    """The memory books, in bytes: budget = total - reserve - leaked, and what resident models have reserved of it.

    `available` is what the machine had left when it was last looked at, None where it does not say; below `floor`
    the memory guard ends somebody: `guard_acted` is the last time it did, None if it never has. `leaked` never came
    back after a process had ended, and is missing until a reboot.
    """

    total: int
    reserve: int
    budget: int
    reserved: int
    floor: int = 0
    available: int | None = None
    leaked: int = 0
    guard_acted: GuardAction | None = None


class QueueStatus(Struct, frozen=True, kw_only=True):
    """Requests that wait for a model, over all models, and the most that may."""

    waiting: int
    max_length: int
    on_busy: OnBusy


class LastRun(Struct, frozen=True, kw_only=True):
    """A model's last run that was ready: bytes at its highest and in the end, seconds until ready and of each step."""

    peak: int
    settled: int
    load_time: float
    phases: dict[str, float]


class ModelStatus(Struct, frozen=True, kw_only=True):
    """One model as it is now.

    `since` is how long it has been in this state (seconds). `in_flight` counts its leases, `waiting` its
    tickets. `idle_left` is when it will be stopped for idleness (seconds), None while it is in use or if it
    never will be. `footprint` is what it reserves while resident (bytes), `basis` what
    that rests on: what is `declared`, or what its runs so far have `learned` (bytes, None where nothing is). `held` is
    what it has right now, `last` how its last run was. `host_memory` and `host_memory_peak` are what its cgroup is
    charged with now and was at most (bytes, None without one): page cache is in them, no page of the GPU's is. `phase`
    and `progress` (0 to 1) are the last step of loading read from its log, or "downloading" of one that is not on disk;
    `download_left` (seconds) is how long that may still take. `cause` says why its last process failed;
    `retry_after` (seconds) is when it may be tried again, None where nobody can say. `load_time` (seconds) is how long
    its last start took.
    """

    id: str
    state: StateName
    quarantined: bool = False
    since: float = 0.0
    in_flight: int = 0
    waiting: int = 0
    idle_left: float | None = None
    footprint: int = 0
    basis: Basis = "declared"
    declared: int | None = None
    learned: int | None = None
    held: int | None = None
    host_memory: int | None = None
    host_memory_peak: int | None = None
    last: LastRun | None = None
    pid: int | None = None
    phase: str | None = None
    progress: float | None = None
    download_left: float | None = None
    cause: str | None = None
    retry_after: float | None = None
    load_time: float | None = None
    lifecycle: Lifecycle = "normal"
    pinned: bool = False
    enabled: bool = True


class Status(Struct, frozen=True, kw_only=True):
    """The whole daemon. `uptime` is in seconds; `listen` has `host:port` of every open door.

    `replaced` counts how often it has replaced its own program, its engines going on; `replacing`: it is about to.
    """

    version: str
    pid: int
    uptime: float
    listen: tuple[str, ...]
    memory: MemoryStatus
    queue: QueueStatus
    models: tuple[ModelStatus, ...]
    replaced: int = 0
    replacing: bool = False

    def model(self, model_id: str) -> ModelStatus | None:
        """The model of exactly that id, None if the catalogue has none."""
        return next((model for model in self.models if model.id == model_id), None)


class Reload(Struct, frozen=True, kw_only=True):
    """What reading the catalogue again has changed: ids of models. Disabled models count as not there.

    `restarted`: those of the changed ones that are drained and stopped, for they would be started differently now.
    `settings`: whether anything changed that is not a model's.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    restarted: tuple[str, ...] = ()
    settings: bool = False

    def told(self) -> str:
        """The same for a person, without a full stop."""
        stays = [name for name in self.changed if name not in self.restarted]
        parts = [
            f"{what} {', '.join(names)}"
            for what, names in (
                ("added", self.added),
                ("removed", self.removed),
                ("changed", stays),
                ("changed, and stopping to be started anew:", self.restarted),
            )
            if names
        ]
        if self.settings:
            parts.append("settings changed")
        return "; ".join(parts) or "nothing has changed"


class Step(Protocol):
    """A step of loading, as engines tell it."""

    @property
    def phase(self) -> str:
        """What the step is called."""
        ...

    @property
    def progress(self) -> float | None:
        """0 to 1, where it is known."""
        ...


def model_status(entry: Entry, now: float, *, pid: int | None, milestone: Step | None) -> ModelStatus:
    """What the books say of one model, with the two things they cannot know: its PID, and how far it has loaded."""
    cooling = entry.state is State.BACKOFF and not entry.quarantined
    step = milestone if entry.state is State.STARTING else None
    return ModelStatus(
        id=entry.model.id,
        state=entry.state.value,
        quarantined=entry.quarantined,
        since=now - entry.since,
        in_flight=len(entry.leases),
        waiting=len(entry.waiting),
        idle_left=idle_end(entry) - now if idle_end(entry) < NEVER else None,
        footprint=entry.footprint,
        basis=entry.basis,
        declared=entry.model.memory,
        pid=pid,
        phase=step.phase if step else None,
        progress=step.progress if step else None,
        cause=entry.cause or None,
        retry_after=max(0.0, entry.until - now) if cooling else None,
        load_time=entry.load_time or None,
        lifecycle=entry.model.lifecycle,
        pinned=entry.model.pinned,
        enabled=entry.model.enabled,
    )
