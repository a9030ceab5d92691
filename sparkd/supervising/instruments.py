"""What is measured over time: reads what sparkd knows already. Waits for no device."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct

from sparkd.scheduling.scheduler import Scheduler
from sparkd.supervising.memory_watch import MemoryWatch
from sparkd.supervising.run import Run
from sparkd.usage.records import Measurement
from sparkd.usage.token_rates import RunningRequest


class GpuFigures(Struct, frozen=True):
    """What the GPU's sensors report, None if it has no such sensor: use (0 to 1), °C, watts and hertz."""

    utilization: float | None = None
    temperature: float | None = None
    power: float | None = None
    clock: float | None = None


NO_GPU = GpuFigures()


class MachineInstruments(Struct, frozen=True):
    """Reads the machine, the queue and the models. `gpu` returns the sensors' last reading; `pressure` the share of
    time in which processes waited for memory."""

    scheduler: Scheduler
    runs: Mapping[int, Run]
    watch: MemoryWatch
    requests: Callable[[], Iterable[RunningRequest]] = tuple
    gpu: Callable[[], GpuFigures] = lambda: NO_GPU
    pressure: Callable[[], float | None] = lambda: None

    def running(self) -> Iterable[RunningRequest]:
        """Requests that an engine responds to now."""
        return self.requests()

    def measure(self) -> Measurement:
        """The machine now, without the rates of tokens."""
        gpu = self.gpu()
        return Measurement(
            at=0.0,
            in_flight=float(sum(len(entry.leases) for entry in self.scheduler.entries())),
            waiting=float(self.scheduler.waiting),
            available=self.watch.memory.available,
            used=self._used(),
            gpu=gpu.utilization,
            temperature=gpu.temperature,
            power=gpu.power,
            clock=gpu.clock,
            pressure=self.pressure(),
        )

    def _used(self) -> float | None:
        """Bytes that models use. None if a model was not measured yet, and so the sum is unknown."""
        used = [run.figures.used for run in self.runs.values()]
        return float(sum(used)) if all(used) else None
