"""The metrics of one daemon: what is counted, what is read at a scrape, and the engines' own."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from sparkd.machine.gpu_sensors import GpuSensors
from sparkd.metrics.engine_scrape import EngineScrape
from sparkd.metrics.event_counts import EventCounts
from sparkd.metrics.exposition import PLAIN, Exposition, compress, expose
from sparkd.metrics.machine_state import MachineState
from sparkd.metrics.shared_work import SharedWork
from sparkd.scheduling.lifecycle import State
from sparkd.scheduling.scheduler import Scheduler
from sparkd.supervising.supervisor import Supervisor
from sparkd.upstream.client import Upstream
from sparkd.usage.records import RequestRecord, StateChange


class Metrics:
    """Create it once the models in quarantine are known. Belongs to the daemon's event loop."""

    def __init__(self, supervisor: Supervisor, scheduler: Scheduler, sensors: GpuSensors) -> None:
        self._supervisor = supervisor
        self._scheduler = scheduler
        self._counts = EventCounts(lambda model: model in supervisor.catalogue.models)
        self._state = MachineState(supervisor, scheduler, sensors)
        self._counts.on_quarantined(self._state.quarantined(), is_start=True)
        self._writing = asyncio.Lock()
        self._engines = SharedWork(EngineScrape(self._ready_upstreams, self._on_scrape).run)

    def on_requests(self, records: Sequence[RequestRecord]) -> None:
        """Count requests that have ended. Call it on the event loop."""
        self._counts.on_requests(records)

    def on_state_change(self, change: StateChange) -> None:
        """Count the change of a model's state. Call it on the event loop."""
        self._counts.on_state_changes([change])
        self._counts.on_quarantined(self._state.quarantined())

    async def read(self, accept: str, accept_encoding: str) -> Exposition:
        """sparkd's own metrics, in the format that the headers Accept and Accept-Encoding ask for."""
        async with self._writing:  # one thread at a time, however many ask
            rows = await self._state.read(self._counts.last_used)
            self._counts.on_quarantined(self._state.quarantined())
            return await asyncio.to_thread(expose, [*rows, *self._counts.rows()], accept, accept_encoding)

    async def read_engines(self, accept_encoding: str) -> Exposition:
        """The metrics of the engines that are ready, as they report them. Those that cannot be read are left out."""
        body = await self._engines.get()
        return await asyncio.to_thread(compress, Exposition(body, PLAIN), accept_encoding)

    def _on_scrape(self, model: str, is_error: bool) -> None:
        self._counts.count_scrape(model, is_error=is_error)

    def _ready_upstreams(self) -> Mapping[str, Upstream]:
        """The clients of the ready engines. Nothing that the scheduler counts as use."""
        launched = self._supervisor.runs.launched
        return {
            entry.model.id: launched[entry.run].upstream
            for entry in self._scheduler.entries()
            if entry.state is State.READY
        }
