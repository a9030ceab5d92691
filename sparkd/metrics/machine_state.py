"""What is read at a scrape: the daemon, the machine, the queue and the models as they are now.

Models that were not used since sparkd started have no rows: a catalogue may have ten thousand.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Final

from msgspec import Struct, field

from sparkd import __version__
from sparkd.catalog.definitions import Model
from sparkd.machine.disk import DiskSpace, disk_space
from sparkd.machine.gpu_sensors import THROTTLE_REASONS, GpuReading, GpuSensors
from sparkd.machine.latest_reading import LatestReading
from sparkd.machine.pressure import Pressure, read_pressure
from sparkd.metrics import families
from sparkd.metrics.families import Family, Labels, Rows
from sparkd.scheduling.ledger import Entry
from sparkd.scheduling.lifecycle import State
from sparkd.scheduling.scheduler import Scheduler
from sparkd.supervising.downloads import Downloads
from sparkd.supervising.supervisor import Supervisor

MAX_MODELS: Final = 500
"""Models with rows. Those that are active come first."""

_GPU: Final = "0"
"""The label `gpu`: sparkd reads the first one."""


class MachineState(Struct):
    """Reads the state of everything. `sensors` are shared with others who show them."""

    supervisor: Supervisor
    scheduler: Scheduler
    sensors: GpuSensors
    _started_at: float | None = None
    _disks: LatestReading[dict[str, DiskSpace | None]] | None = None

    async def read(self, last_used: Mapping[str, float]) -> list[Rows]:
        """Everything now. `last_used` has the models that were used. Devices are waited for at most a second."""
        gpu = await self.sensors.get()
        disks = await self._disk_reading().get()
        return [
            *self._daemon_rows(),
            _memory_rows(self.scheduler),
            *_pressure_rows(read_pressure()),
            _disk_rows(disks or {}),
            *_gpu_rows(gpu),
            *self._model_rows(last_used),
            _value(families.QUEUE_LIMIT, self.supervisor.catalogue.settings.queue.max_length),
        ]

    def quarantined(self) -> Iterator[str]:
        """The models in quarantine."""
        return (entry.model.id for entry in self.scheduler.entries() if entry.is_quarantined)

    def _disk_reading(self) -> LatestReading[dict[str, DiskSpace | None]]:
        if self._disks is None:
            self._disks = LatestReading(self._read_disks, "disk-space")
        return self._disks

    def _read_disks(self) -> dict[str, DiskSpace | None]:
        catalogue = self.supervisor.catalogue
        return {name: disk_space(Path(catalogue.folder(name))) for name in ("models", "state")}

    def _daemon_rows(self) -> Iterator[Rows]:
        yield Rows(families.BUILD, [((__version__,), 1.0)])
        if self._started_at is None:  # computed once: later the two clocks differ a little
            self._started_at = round(time.time() - (time.monotonic() - self.supervisor.started), 3)
        yield _value(families.START_TIME, self._started_at)
        yield _value(families.REPLACEMENTS, self.supervisor.replacements)

    def _model_rows(self, last_used: Mapping[str, float]) -> list[Rows]:
        entries = {entry.model.id: entry for entry in self.scheduler.entries()}
        found = _ModelRows(entries, time.monotonic(), self.supervisor)
        models = self.supervisor.catalogue.models
        downloading = self.supervisor.downloads.downloading()
        names = dict.fromkeys((*entries, *downloading, *(name for name in last_used if name in models)))
        for name in islice(names, MAX_MODELS):
            if entry := entries.get(name):
                found.add_active(entry)
            elif name in models:
                found.add_stopped(models[name])
            if name in last_used:
                found.add(families.LAST_USED, name, value=last_used[name])
        found.add_downloads(self.supervisor.downloads)
        return found.rows()


class _ModelRows(Struct):
    """Collects the rows of models by family."""

    entries: Mapping[str, Entry]
    now: float
    supervisor: Supervisor
    values: dict[str, tuple[Family, list[tuple[Labels, float]]]] = field(default_factory=dict)

    def add(self, family: Family, *labels: str, value: float) -> None:
        self.values.setdefault(family.name, (family, []))[1].append((labels, value))

    def rows(self) -> list[Rows]:
        return [Rows(family, values) for family, values in self.values.values()]

    def add_stopped(self, model: Model) -> None:
        """A model that was used, and of which the scheduler has no entry now."""
        quantization = str(model.options.get("quantization") or "")
        self.add(families.MODEL, model.id, model.engine, model.runtime or "", quantization, value=1.0)
        self._add_state(model, State.STOPPED)
        self.add(families.QUARANTINED, model.id, value=0.0)
        self.add(families.QUEUE, model.id, value=0.0)
        self.add(families.IN_FLIGHT, model.id, value=0.0)

    def add_active(self, entry: Entry) -> None:
        """A model that is in memory, fails, or has requests that wait."""
        model = entry.model
        quantization = str(model.options.get("quantization") or "")
        self.add(families.MODEL, model.id, model.engine, model.runtime or "", quantization, value=1.0)
        self._add_state(model, entry.state)
        self.add(families.QUARANTINED, model.id, value=float(entry.is_quarantined))
        self.add(families.QUEUE, model.id, value=len(entry.waiting))
        self.add(families.IN_FLIGHT, model.id, value=len(entry.leases))
        if entry.waiting:
            oldest = min(ticket.arrived for ticket in entry.waiting.values())
            self.add(families.QUEUE_OLDEST, model.id, value=max(0.0, self.now - oldest))
        if entry.is_resident:
            self._add_memory(entry)
        if entry.state is State.STARTING:
            self._add_load(entry)

    def add_downloads(self, downloads: Downloads) -> None:
        """Models that are being downloaded."""
        for name, progress in downloads.downloading().items():
            self.add(families.PULL, name, value=progress.done)
            if progress.total:
                self.add(families.PULL_TOTAL, name, value=progress.total)

    def _add_state(self, model: Model, now: State) -> None:
        for state in State:
            self.add(families.MODEL_STATE, model.id, state.value, value=float(state is now))

    def _add_memory(self, entry: Entry) -> None:
        self.add(families.MODEL_MEMORY, entry.model.id, "estimate", value=entry.footprint)
        run = self.supervisor.runs.launched.get(entry.run)
        if run is not None and run.figures.used:  # 0 until it was measured
            self.add(families.MODEL_MEMORY, entry.model.id, "measured", value=run.figures.used)

    def _add_load(self, entry: Entry) -> None:
        self.add(families.LOAD_ELAPSED, entry.model.id, value=self.now - entry.since)
        if expected := self.supervisor.forecasts.expected_load(entry):
            self.add(families.LOAD_EXPECTED, entry.model.id, value=expected)


def _memory_rows(scheduler: Scheduler) -> Rows:
    budget = scheduler.budget
    known = {
        "total": budget.total,
        "available": scheduler.available,
        "budget": budget.bytes,
        "reserve": budget.reserve,
        "committed": scheduler.reserved,
        "leaked": budget.leaked,
        "floor": scheduler.guard.floor,
        "launchers": budget.launchers,
    }
    return Rows(families.MEMORY, [((kind,), float(size)) for kind, size in known.items() if size is not None])


def _pressure_rows(pressure: Pressure | None) -> Iterator[Rows]:
    if pressure is None:
        return
    values: list[tuple[Labels, float]] = [
        ((f"{window}s", stalled), share)
        for stalled, shares in (("some", pressure.some), ("full", pressure.full))
        for window, share in shares.items()
    ]
    yield Rows(families.PRESSURE, values)


def _disk_rows(disks: Mapping[str, DiskSpace | None]) -> Rows:
    values: list[tuple[Labels, float]] = []
    for folder, space in disks.items():
        if space is not None:
            values += [((folder, "total"), space.total), ((folder, "available"), space.available)]
    return Rows(families.DISK, values)


def _gpu_rows(gpu: GpuReading | None) -> Iterable[Rows]:
    """Without the families that this GPU does not report."""
    if gpu is None:
        return
    yield Rows(families.GPU, [((_GPU, gpu.name), 1.0)])
    for family, value in (
        (families.GPU_USE, gpu.utilization),
        (families.GPU_TEMPERATURE, gpu.temperature),
        (families.GPU_POWER, gpu.power),
        (families.GPU_CLOCK, gpu.clock),
        (families.GPU_ENERGY, gpu.energy),
    ):
        if value is not None:
            yield Rows(family, [((_GPU,), value)])
    if gpu.throttled is not None:
        found = gpu.throttled
        yield Rows(
            families.GPU_THROTTLED,
            [((_GPU, reason), float(reason in found)) for reason in THROTTLE_REASONS],
        )


def _value(family: Family, value: float) -> Rows:
    return Rows(family, [((), float(value))])
