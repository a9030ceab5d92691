"""What sparkd tells about itself: the answer of `GET /status`, and what `sparkctl status` prints.

Plain frozen values, encoded with msgspec. Durations are float seconds, sizes are bytes. A moment in time
never appears, only how long something has lasted or will last: no clock needs to agree with another.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from sparkd.catalog.definitions import Lifecycle, OnBusy

StateName = Literal["stopped", "starting", "ready", "draining", "stopping", "backoff"]


class MemoryStatus(Struct, frozen=True, kw_only=True):
    """The memory books, in bytes: budget = total - reserve, and what resident models have reserved of it."""

    total: int
    reserve: int
    budget: int
    reserved: int


class QueueStatus(Struct, frozen=True, kw_only=True):
    """Requests that wait for a model, over all models, and the most that may."""

    waiting: int
    max_length: int
    on_busy: OnBusy


class ModelStatus(Struct, frozen=True, kw_only=True):
    """One model as it is now.

    `since` is how long it has been in this state (seconds). `in_flight` counts its leases, `waiting` its
    tickets. `idle_left` is when it will be stopped for idleness (seconds), None while it is in use or if it
    never will be. `footprint` is what it reserves while resident (bytes). `phase` and `progress` (0 to 1) are
    the last step of loading read from its log. `cause` says why its last process failed; `retry_after`
    (seconds) is when it may be tried again, None where nobody can say. `load_time` (seconds) is how long its
    last start took.
    """

    id: str
    state: StateName
    quarantined: bool = False
    since: float = 0.0
    in_flight: int = 0
    waiting: int = 0
    idle_left: float | None = None
    footprint: int = 0
    pid: int | None = None
    phase: str | None = None
    progress: float | None = None
    cause: str | None = None
    retry_after: float | None = None
    load_time: float | None = None
    lifecycle: Lifecycle = "normal"
    pinned: bool = False
    enabled: bool = True


class Status(Struct, frozen=True, kw_only=True):
    """The whole daemon. `uptime` is in seconds; `listen` has `host:port` of every open door."""

    version: str
    pid: int
    uptime: float
    listen: tuple[str, ...]
    memory: MemoryStatus
    queue: QueueStatus
    models: tuple[ModelStatus, ...]

    def model(self, model_id: str) -> ModelStatus | None:
        """The model of exactly that id, None if the catalogue has none."""
        return next((model for model in self.models if model.id == model_id), None)
