"""What is measured over time: reads what sparkd knows already. Waits for no device."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, Protocol

from msgspec import Struct

from sparkd.machine.gpu_sensors import GpuReading
from sparkd.machine.pressure import read_pressure
from sparkd.scheduling.scheduler import Scheduler
from sparkd.supervising.memory_watch import MemoryWatch
from sparkd.supervising.run import Run
from sparkd.usage.active import ActiveRequest
from sparkd.usage.records import Measurement
from sparkd.usage.token_rates import RunningRequest

PRESSURE_SECONDS: Final = 10
"""Seconds over which the kernel averages the memory pressure. The nearest to an interval."""

NO_GPU: Final = GpuReading(name="")


class Sensors(Protocol):
    """The GPU's sensors, read by a thread."""

    def peek(self) -> GpuReading | None:
        """The last reading, at once. None if no GPU answers."""
        ...


class MachineInstruments(Struct, frozen=True):
    """Reads the machine, the queue and the models. `runs` are the launched ones, `active` returns the requests in
    flight."""

    scheduler: Scheduler
    runs: Mapping[int, Run]
    watch: MemoryWatch
    sensors: Sensors
    active: Callable[[], Iterable[ActiveRequest]]

    def running(self) -> Iterable[RunningRequest]:
        """Requests that an engine responds to now."""
        return (RunningRequest(each.id, each.tokens_out) for each in self.active())

    def measure(self) -> Measurement:
        """The machine now, without the rates of tokens."""
        gpu = self.sensors.peek() or NO_GPU
        pressure = read_pressure()
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
            pressure=pressure.some.get(PRESSURE_SECONDS) if pressure else None,
        )

    def _used(self) -> float | None:
        """Bytes that models use. None if a model was not measured yet, and so the sum is unknown."""
        used = [run.figures.used for run in self.runs.values()]
        return float(sum(used)) if all(used) else None
