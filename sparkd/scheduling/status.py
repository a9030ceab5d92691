"""sparkd's status: the response to `GET /status`, and what `sparkctl status` prints.

Plain frozen values, encoded with msgspec. Durations are float seconds, sizes are bytes. There are no points in time,
only durations, so that clocks need not agree.
"""

from __future__ import annotations

from typing import Final, Literal, Protocol

from msgspec import Struct

from sparkd.catalog.definitions import Lifecycle
from sparkd.catalog.settings import OnBusy
from sparkd.scheduling.deadlines import idle_deadline
from sparkd.scheduling.forecast import Forecast
from sparkd.scheduling.hold import HoldStatus
from sparkd.scheduling.ledger import NEVER, Entry
from sparkd.scheduling.lifecycle import State
from sparkd.scheduling.memory import Basis
from sparkd.scheduling.suspects import Level

ModelChoice = str | None
"""The models of a status: an id, ALL_MODELS, or USED_MODELS, which are those that were ever used. The status of one of
thousands of models costs little."""

ALL_MODELS: Final = None
USED_MODELS: Final = ""

StateName = Literal["stopped", "starting", "ready", "draining", "stopping", "backoff"]


class GuardAction(Struct, frozen=True, kw_only=True):
    """The last kill by the memory guard: the model, and how many seconds ago."""

    model: str
    seconds_ago: float


class MemoryStatus(Struct, frozen=True, kw_only=True):
    """The memory budget, in bytes: budget = total - reserve - leaked, and what resident models have reserved of it.

    `available` is the machine's available memory at the last sample, None if unknown. Below `floor` the memory guard
    kills a model; `last_guard_action` is the last time, None if never. `leaked` was not freed after a process ended,
    and is missing until a reboot. `launchers` is what launchers use; they end if a launch needs it.
    """

    total: int
    reserve: int
    budget: int
    reserved: int
    floor: int = 0
    available: int | None = None
    leaked: int = 0
    launchers: int = 0
    last_guard_action: GuardAction | None = None


class LauncherStatus(Struct, frozen=True, kw_only=True):
    """The launcher of a runtime. `state` is "off" if engines start cold after failures; see `reason`.

    `memory` is bytes, `load_time` the seconds that its imports took, and `starts` the engines forked from it.
    """

    runtime: str
    state: Literal["starting", "ready", "off"]
    reason: str = ""
    pid: int | None = None
    memory: int | None = None
    load_time: float | None = None
    starts: int = 0


class QueueStatus(Struct, frozen=True, kw_only=True):
    """Requests that wait for any model, and the limit."""

    waiting: int
    max_length: int
    on_busy: OnBusy


class LastRun(Struct, frozen=True, kw_only=True):
    """A model's last successful run: its highest and its final memory in bytes, seconds until ready and of each
    step."""

    peak: int
    final: int
    load_time: float
    phases: dict[str, float]


class RejectedRequest(Struct, frozen=True, kw_only=True):
    """A request that made its engine fail, and is rejected for `seconds_left`.

    `level`: requests with exactly its bytes are rejected, or all of its shape; `fields` then names the unusual fields.
    `request_id` is the last one that made an engine fail, `crashes` counts those failures, `rejected` what was rejected
    since. `fingerprint` is a digest in hexadecimal.
    """

    fingerprint: str
    level: Level
    fields: tuple[str, ...]
    request_id: str
    crashes: int
    rejected: int
    seconds_left: float


class ModelStatus(Struct, frozen=True, kw_only=True):
    """One model as it is now. Times are seconds, sizes bytes; None if unknown.

    `state_seconds` is the time in this state. `in_flight` counts its leases, `waiting` its tickets.
    `idle_seconds_left` is the time until it is stopped for idleness, None while it is in use or if it is never stopped.
    `footprint` is what it reserves while resident, and `basis` where that comes from: `declared`, or `learned` from
    past runs. `memory_used` is what it uses now, `last_run` its last run that was ready. `host_memory` and
    `host_memory_peak` are what its cgroup is charged now and was charged at most; they include page cache, but no GPU
    memory. `phase` and `progress` (0 to 1) are the last loading step from its log, or "downloading";
    `download_seconds_left` is the rest of that. `start` is "warm" if its process was forked from a launcher, otherwise
    "cold"; see `cold_reason`. `cause` is why its last process failed, `retry_after` the time until it
    may start again. `load_time` is the duration of its last start. `rejected_requests` are those that made its engine
    fail. `forecast` is that of the request that waits longest for it, or of its load. `holds` keep it loaded.
    """

    id: str
    state: StateName
    quarantined: bool = False
    state_seconds: float = 0.0
    in_flight: int = 0
    waiting: int = 0
    idle_seconds_left: float | None = None
    footprint: int = 0
    basis: Basis = "declared"
    declared: int | None = None
    learned: int | None = None
    memory_used: int | None = None
    host_memory: int | None = None
    host_memory_peak: int | None = None
    last_run: LastRun | None = None
    pid: int | None = None
    phase: str | None = None
    progress: float | None = None
    download_seconds_left: float | None = None
    start: Literal["warm", "cold"] | None = None
    cold_reason: str | None = None
    cause: str | None = None
    retry_after: float | None = None
    load_time: float | None = None
    lifecycle: Lifecycle = "normal"
    pinned: bool = False
    enabled: bool = True
    rejected_requests: tuple[RejectedRequest, ...] = ()
    forecast: Forecast | None = None
    holds: tuple[HoldStatus, ...] = ()


class Status(Struct, frozen=True, kw_only=True):
    """The whole daemon. `uptime` is in seconds; `listen` has `host:port` of every listening socket, `exposed` those to
    which other machines can connect without an API key.

    `replacements` counts how often it has replaced its own program without ending engines; `replacing`: it is about to.
    """

    version: str
    pid: int
    uptime: float
    listen: tuple[str, ...]
    memory: MemoryStatus
    queue: QueueStatus
    models: tuple[ModelStatus, ...]
    launchers: tuple[LauncherStatus, ...] = ()
    replacements: int = 0
    replacing: bool = False
    exposed: tuple[str, ...] = ()

    def describe_exposure(self) -> str:
        """What is wrong with `exposed`, and how to fix it. Empty if nothing is."""
        if not self.exposed:
            return ""
        return (
            f"Other machines can use sparkd at {', '.join(self.exposed)} without an API key. "
            "Set server.api_key_file to a file with keys, or listen only on localhost; then restart sparkd."
        )

    def model(self, model_id: str) -> ModelStatus | None:
        """The model with exactly that id, None if the catalogue has none."""
        return next((model for model in self.models if model.id == model_id), None)


class Reload(Struct, frozen=True, kw_only=True):
    """What a reload changed: ids of models. Disabled models count as missing.

    `restarted`: the changed models that are drained and stopped, because they would now start differently.
    `settings_changed`: whether anything else than a model changed.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    restarted: tuple[str, ...] = ()
    settings_changed: bool = False

    def describe(self) -> str:
        """The same as text for a person, without a full stop."""
        stays = [name for name in self.changed if name not in self.restarted]
        parts = [
            f"{what} {', '.join(names)}"
            for what, names in (
                ("added", self.added),
                ("removed", self.removed),
                ("changed", stays),
                ("changed and stopping, to restart with the next request:", self.restarted),
            )
            if names
        ]
        if self.settings_changed:
            parts.append("settings changed")
        return "; ".join(parts) or "nothing changed"


class LoadStep(Protocol):
    """A step of loading, as engines report it."""

    @property
    def phase(self) -> str:
        """Name of the step."""
        ...

    @property
    def progress(self) -> float | None:
        """0 to 1, None if unknown."""
        ...


def build_model_status(
    entry: Entry, now: float, *, pid: int | None, milestone: LoadStep | None
) -> ModelStatus:
    """One model's status from its entry, plus what the scheduler cannot know: its PID and its loading progress."""
    cooling = entry.state is State.BACKOFF and not entry.is_quarantined
    step = milestone if entry.state is State.STARTING else None
    return ModelStatus(
        id=entry.model.id,
        state=entry.state.value,
        quarantined=entry.is_quarantined,
        state_seconds=now - entry.since,
        in_flight=len(entry.leases),
        waiting=len(entry.waiting),
        idle_seconds_left=idle_deadline(entry) - now if idle_deadline(entry) < NEVER else None,
        footprint=entry.footprint,
        basis=entry.basis,
        declared=entry.model.memory,
        pid=pid,
        phase=step.phase if step else None,
        progress=step.progress if step else None,
        cause=entry.cause or None,
        retry_after=max(0.0, entry.retry_at - now) if cooling else None,
        load_time=entry.load_time or None,
        lifecycle=entry.model.lifecycle,
        pinned=entry.model.pinned,
        enabled=entry.model.enabled,
        holds=tuple(hold.status(now) for hold in entry.holds),
    )
