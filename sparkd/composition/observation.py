"""What watches the engine room: finished requests, the history, measurements, metrics, and the live state."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from sparkd import __version__
from sparkd.composition.engine_room import EngineRoom
from sparkd.continuity.reloading import CatalogueReloader
from sparkd.control.captures import capture_notices
from sparkd.control.live.hub import LiveHub
from sparkd.control.live.reader import LiveReader
from sparkd.control.live.sources import RecentRequests, Sources
from sparkd.control.live.state import LiveGpu
from sparkd.gateway import Gateway
from sparkd.machine.gpu_sensors import GpuSensors
from sparkd.metrics.service import Metrics
from sparkd.processes.pids import boot_id
from sparkd.supervising.history_recording import HistoryRecorder, run_store
from sparkd.supervising.instruments import MachineInstruments
from sparkd.supervising.tasks import Works
from sparkd.usage.reader import UsageReader
from sparkd.usage.sampler import Sampler
from sparkd.usage.store import UsageStore


class Observation(Struct, frozen=True):
    """What can be read of the past and the present."""

    usage: UsageReader
    sampler: Sampler
    metrics: Metrics
    live: LiveHub


def build_observation(
    room: EngineRoom, gateway: Gateway, reloader: CatalogueReloader, works: Works, *, is_successor: bool
) -> Observation:
    """Connect everything that records, measures and counts. `is_successor`: this program has replaced another one."""
    sensors = GpuSensors()
    store, history = _build_history(room, reloader)
    sampler = _build_sampler(room, gateway, sensors, store)
    metrics = Metrics(room.supervisor, room.scheduler, sensors)
    live = _build_live_state(room, gateway, sensors)
    recorder = gateway.recorder
    recorder.subscribe(store.add_requests, keeps=True)
    for listener in (sampler.on_finished, metrics.on_requests, gateway.captures.finish):
        recorder.subscribe(listener)
    history.add_listener(metrics.on_state_change)
    # Each is closed before the store that it writes to.
    works.add("request records", recorder.run, recorder.flush)
    works.add("measurements", sampler.run, sampler.close)
    works.add("usage", lambda: run_store(store, room.scheduler, is_successor=is_successor), store.close)
    works.add("live state", live.run)
    return Observation(UsageReader(store.path, store), sampler, metrics, live)


def _build_history(room: EngineRoom, reloader: CatalogueReloader) -> tuple[UsageStore, HistoryRecorder]:
    """Return where requests and the history of models are kept, and what records the history there."""
    supervisor = room.supervisor
    store = UsageStore(
        supervisor.catalogue.folder("state") / "usage.sqlite",
        lambda: supervisor.catalogue.settings.usage,
        __version__,
    )
    recorder = HistoryRecorder(store, lambda: supervisor.catalogue, supervisor.started)
    room.scheduler.observer, supervisor.downloads.on_occurrence = recorder, recorder.record_occurrence
    reloader.on_reload = recorder.record_reload
    return store, recorder


def _build_sampler(room: EngineRoom, gateway: Gateway, sensors: GpuSensors, store: UsageStore) -> Sampler:
    """Return what measures the machine over time."""
    supervisor = room.supervisor
    instruments = MachineInstruments(
        room.scheduler, supervisor.runs.launched, room.watch, sensors, gateway.recorder.active.rows
    )
    file = supervisor.catalogue.folder("state") / "measurements.recent"
    return Sampler(instruments, store, file, boot_id())


def _build_live_state(room: EngineRoom, gateway: Gateway, sensors: GpuSensors) -> LiveHub:
    """Return what the page and `sparkctl top` follow."""
    recent = RecentRequests()
    gateway.recorder.subscribe(recent.add)

    async def read_gpu() -> LiveGpu | None:
        reading = sensors.peek()
        return None if reading is None else msgspec.convert(reading, LiveGpu, from_attributes=True)

    sources = Sources(
        gateway.recorder.active, recent, read_gpu, notices=lambda: capture_notices(gateway.captures)
    )
    reader = LiveReader(
        room.supervisor, room.scheduler, lambda: room.watch.memory, room.learning.last_guard_action, sources
    )
    return LiveHub(reader)
