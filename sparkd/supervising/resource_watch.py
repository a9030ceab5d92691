"""Watches the machine's memory and the launchers, and reports both to the scheduler."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from msgspec import Struct

from sparkd.catalog import Catalogue
from sparkd.catalog.definitions import Model
from sparkd.errors import LaunchError
from sparkd.learning.learning import Learning
from sparkd.scheduling.actions import Action
from sparkd.scheduling.lifecycle import State
from sparkd.scheduling.scheduler import Scheduler
from sparkd.supervising.launchers import Launchers
from sparkd.supervising.launching import find_cold_reason, launcher_spec
from sparkd.supervising.memory_watch import MemoryReading, MemoryWatch
from sparkd.supervising.runs import Runs


class ResourceWatch(Struct, frozen=True):
    """What runs share: memory, and launchers, which have a runtime's imports done.

    `carry_out` carries out the scheduler's decisions.
    """

    scheduler: Scheduler
    runs: Runs
    watch: MemoryWatch
    learning: Learning
    launchers: Launchers
    catalogue: Callable[[], Catalogue]
    carry_out: Callable[[list[Action]], None]

    def want_launcher(self, model: Model) -> None:
        """Start the launcher of the model's runtime, so that it is ready when the model is launched."""
        with suppress(LaunchError):  # the launch reports it
            if spec := launcher_spec(model, self.catalogue()):
                self.launchers.want(spec)

    def can_prepare(self, model: Model) -> bool:
        """Whether the model could be forked from a launcher now, as far as that is known without reading files."""
        return find_cold_reason(model) is None and self.launchers.is_ready(model.runtime)

    def on_launchers(self, used: int) -> None:
        """Report to the scheduler the bytes of host memory that the launchers use, if models use that memory too."""
        used = 0 if self.watch.memory.kind == "separate" else used
        if used != self.scheduler.budget.launchers:
            self.carry_out(self.scheduler.on_launchers(used, time.monotonic()))

    async def watch_launchers(self) -> None:
        """Watch the launchers until cancelled, after starting those that the catalogue preloads."""
        catalogue = self.catalogue()
        for runtime in catalogue.settings.launchers.preload:
            models = (each for each in catalogue.models.values() if each.enabled)
            if model := next((each for each in models if each.runtime == runtime and each.warm), None):
                self.want_launcher(model)
        await self.launchers.watch(
            lambda: {run.model.runtime for run in self.runs.launched.values() if run.model.runtime}
        )

    async def watch_memory(self) -> None:
        """Watch the machine's memory until cancelled."""
        await self.watch.run(
            self._on_reading,
            lambda: {number: run.find_processes for number, run in self.runs.launched.items()},
        )

    def _on_reading(self, reading: MemoryReading) -> float:
        """Report the machine's memory to the scheduler; return the seconds until the next reading."""
        memory, scheduler = reading.memory, self.scheduler
        for number, used in reading.used.items():
            if life := self.runs.life(number):
                life.on_measured(used, memory)
        leaked = scheduler.budget.leaked
        self.carry_out(scheduler.on_memory(memory.available, memory.scarcest, time.monotonic()))
        if scheduler.budget.leaked != leaked:
            self.learning.record_leak(scheduler.budget.leaked)
        starting = any(entry.state is State.STARTING for entry in scheduler.entries())
        return scheduler.guard.sample_interval(starting=starting)
