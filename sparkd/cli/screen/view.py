"""What sparkd does at one moment, as the screens show it. Durations are seconds, sizes bytes, None is unknown."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct, structs

from sparkd.scheduling.status import MemoryStatus, ModelStatus

RESIDENT = ("starting", "ready", "draining", "stopping")
"""States in which a model holds memory."""


class Gpu(Struct, frozen=True, kw_only=True):
    """The GPU: `utilization` from 0 to 1, °C, watts, hertz, and why its clock is limited ("" if it is not)."""

    name: str = ""
    utilization: float | None = None
    temperature: float | None = None
    power: float | None = None
    clock: float | None = None
    throttled: str = ""


class WaitingRow(Struct, frozen=True, kw_only=True):
    """A request in the queue. `text` says what it waits for."""

    model: str
    text: str
    client: str = ""
    seconds: float | None = None
    position: int | None = None


class Step(Struct, frozen=True, kw_only=True):
    """A step of a load: how long it usually takes, and how long it took if it has ended."""

    name: str
    usual: float | None = None
    took: float | None = None
    is_now: bool = False


class LoadRow(Struct, frozen=True, kw_only=True):
    """A load or a download. `progress` (0 to 1) is that of its phase, `share` that of all of it.

    `seconds` is how long it has taken, `left` how long it takes yet, `usual` how long such a load usually takes.
    """

    model: str
    phase: str
    progress: float | None = None
    share: float | None = None
    seconds: float | None = None
    left: float | None = None
    usual: float | None = None
    steps: tuple[Step, ...] = ()


class RequestRow(Struct, frozen=True, kw_only=True):
    """A request in flight, or one that waits. `speed` is tokens per second over the last seconds."""

    id: str
    model: str
    phase: str
    asked: str = ""
    client: str = ""
    program: str = ""
    endpoint: str = ""
    streamed: bool = False
    seconds: float
    phase_seconds: float | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    speed: float | None = None


class View(Struct, frozen=True, kw_only=True):
    """The whole machine. `requests` are the oldest of `requests_total`, those that wait included."""

    version: str
    uptime: float
    memory: MemoryStatus
    models: tuple[ModelStatus, ...]
    name: str = ""
    state: str = "serving"
    system: int | None = None
    gpu: Gpu | None = None
    notices: tuple[str, ...] = ()
    waiting: int = 0
    max_length: int = 0
    on_busy: str = "wait"
    loads: tuple[LoadRow, ...] = ()
    queue: tuple[WaitingRow, ...] = ()
    requests: tuple[RequestRow, ...] = ()
    requests_total: int = 0

    def only(self, model_id: str) -> View:
        """The same for one model alone."""
        requests = tuple(row for row in self.requests if row.model == model_id)
        queue = tuple(row for row in self.queue if row.model == model_id)
        return structs.replace(
            self,
            models=tuple(model for model in self.models if model.id == model_id),
            loads=tuple(row for row in self.loads if row.model == model_id),
            queue=queue,
            waiting=len(queue),
            requests=requests,
            requests_total=len(requests),
        )

    def speed_of(self, model_id: str) -> float | None:
        """Tokens per second of all requests for one model. None if unknown."""
        return _add_up(row.speed for row in self.requests if row.model == model_id)

    @property
    def speed(self) -> float | None:
        """Tokens per second of all requests. None if unknown."""
        return _add_up(row.speed for row in self.requests)


def _add_up(speeds: Iterator[float | None]) -> float | None:
    known = [speed for speed in speeds if speed is not None]
    return sum(known) if known else None
