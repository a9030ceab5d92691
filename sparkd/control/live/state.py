"""The live state. Points in time are seconds since the epoch, so that nothing changes while nothing happens.

Sizes are bytes, durations seconds, ratios 0 to 1. None is "unknown", or that there is no such thing.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from sparkd.catalog.definitions import Lifecycle
from sparkd.catalog.settings import OnBusy
from sparkd.scheduling.forecast import Stage
from sparkd.scheduling.memory import Basis
from sparkd.scheduling.status import StateName
from sparkd.usage.active import ActiveRequest
from sparkd.usage.records import RequestRecord

DaemonState = Literal["serving", "replacing", "stopping"]
Level = Literal["info", "warn", "bad"]


class LiveGpu(Struct, frozen=True, kw_only=True):
    """The GPU: `temperature` in °C, `power` in watts, `clock` in hertz. `throttled` has the reasons for a low clock."""

    name: str
    utilization: float | None = None
    temperature: float | None = None
    power: float | None = None
    clock: float | None = None
    throttled: tuple[str, ...] | None = None


class LiveMemory(Struct, frozen=True, kw_only=True):
    """The memory that models use. `kind` is "unified" with the GPU's, "separate" on a GPU of its own, or the "host"'s.

    `total` is the machine's, `budget` what models may use of it, `reserve` what is kept free, `reserved` what is
    reserved for models. `models` is what they use as measured, `launchers` what launchers use. `system` is what
    everything else uses: total - available - models - launchers, at least 0; other programs, the kernel, and what the
    figures of processes miss are in it. `free` is not even page cache. Below `floor` the memory guard ends a model; it
    did so last at `guard_at`, to `guard_model`.
    """

    kind: Literal["unified", "separate", "host"]
    total: int
    reserve: int
    budget: int
    reserved: int
    models: int
    launchers: int
    leaked: int
    floor: int
    available: int | None = None
    system: int | None = None
    free: int | None = None
    guard_at: float | None = None
    guard_model: str | None = None


class Notice(Struct, frozen=True, kw_only=True):
    """What the owner should know, as a sentence. `model` is the model that it is about."""

    level: Level
    text: str
    model: str | None = None


class LiveMachine(Struct, frozen=True, kw_only=True):
    """The daemon and the machine. `name` is the machine's, `uptime_since` when sparkd, or the first of those that it
    replaced, has started."""

    name: str
    version: str
    pid: int
    uptime_since: float
    state: DaemonState
    listen: tuple[str, ...]
    memory: LiveMemory
    gpu: LiveGpu | None = None
    notices: tuple[Notice, ...] = ()


class LoadPhase(Struct, frozen=True, kw_only=True):
    """A phase of a load. `usual` is how long it takes by earlier loads, `took` how long it took, if it has ended."""

    name: str
    usual: float | None = None
    took: float | None = None


class LiveLoad(Struct, frozen=True, kw_only=True):
    """A load that is under way. `phases` are those that it has had, then those that earlier loads had, too.

    `phase` is the present one, `progress` that of the phase, reported at `progress_at`. `usual` is how long such a load
    takes, `ready_at` when it will probably be ready. `warm`: its engine is forked from a launcher.
    """

    began: float
    warm: bool
    phases: tuple[LoadPhase, ...] = ()
    phase: str | None = None
    phase_since: float | None = None
    progress: float | None = None
    progress_at: float | None = None
    usual: float | None = None
    ready_at: float | None = None


class LiveDownload(Struct, frozen=True, kw_only=True):
    """A download that is under way. `source` is what is being downloaded now, `total` is 0 while it is unknown."""

    step: str
    source: str
    done: int
    total: int
    ends_at: float | None = None


class LiveHold(Struct, frozen=True, kw_only=True):
    """Somebody keeps the model loaded until then."""

    id: str
    until: float
    owner: str = ""
    job: str = ""
    reason: str = ""


class LiveModel(Struct, frozen=True, kw_only=True):
    """A model that is not just stopped, or has just become so.

    `since` is when it came into its state. `memory_used` is as measured, `footprint` as reserved. `idle_at` is when it
    is stopped if nobody uses it. `reason` is why it has to stop, `cause` why it failed, `retry_at` when it may start
    again. `load_time` is how long its last load took. `cold_reason` is why its engine was not forked from a launcher.
    """

    id: str
    state: StateName
    since: float
    quarantined: bool = False
    run: int = 0
    in_flight: int = 0
    waiting: int = 0
    footprint: int = 0
    basis: Basis = "declared"
    memory_used: int | None = None
    idle_at: float | None = None
    pinned: bool = False
    lifecycle: Lifecycle = "normal"
    context: int | None = None
    load_time: float | None = None
    cold_reason: str | None = None
    load: LiveLoad | None = None
    download: LiveDownload | None = None
    reason: str | None = None
    cause: str | None = None
    retry_at: float | None = None
    holds: tuple[LiveHold, ...] = ()


class QueueRow(Struct, frozen=True, kw_only=True):
    """A request that waits for its model. `text` says for what, as sparkctl does, without the time that is left.

    `position` counts the requests, `ready_at` is when its model will probably be ready, `deadline` when it is rejected.
    """

    ticket: int
    model: str
    client: str
    arrived: float
    deadline: float
    position: int
    stage: Stage | None = None
    text: str = ""
    ready_at: float | None = None
    background: bool = False
    priority: str = "normal"


class LiveQueue(Struct, frozen=True, kw_only=True):
    """Requests that wait for any model, the limit, and the first of them in the order of their turns."""

    waiting: int
    max_length: int
    on_busy: OnBusy
    rows: tuple[QueueRow, ...] = ()


class InFlight(Struct, frozen=True, kw_only=True):
    """Requests that have not ended, waiting ones included, and the oldest of them."""

    total: int
    rows: tuple[ActiveRequest, ...] = ()


class LiveState(Struct, frozen=True, kw_only=True):
    """Everything at one moment. `finished` has the newest first."""

    machine: LiveMachine
    models: dict[str, LiveModel]
    queue: LiveQueue
    in_flight: InFlight = InFlight(total=0)
    finished: tuple[RequestRecord, ...] = ()
