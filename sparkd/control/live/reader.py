"""The live state at one moment."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from sparkd.control.live.machine import MachineReader
from sparkd.control.live.models import ModelRows
from sparkd.control.live.queue import QueueRows
from sparkd.control.live.sources import Clock, Sources
from sparkd.control.live.state import InFlight, LiveGpu, LiveMachine, LiveState
from sparkd.machine.memory import Memory
from sparkd.scheduling.scheduler import Scheduler
from sparkd.scheduling.status import GuardAction
from sparkd.supervising.supervisor import Supervisor

ACTIVE_INTERVAL: Final = 1.0
IDLE_INTERVAL: Final = 5.0
"""Seconds between two readings of figures (memory, GPU, speed) while something happens, and while nothing does."""

MAX_REQUESTS: Final = 200


class LiveReader:
    """Reads the state of one daemon. What happens is in every reading; figures only change now and then."""

    def __init__(
        self,
        supervisor: Supervisor,
        scheduler: Scheduler,
        memory: Callable[[], Memory],
        guard_action: Callable[[], GuardAction | None],
        sources: Sources,
    ) -> None:
        self._clock = Clock()
        self._sources = sources
        self._models = ModelRows(supervisor, scheduler, self._clock)
        self._queue = QueueRows(supervisor, scheduler, self._clock)
        self._machine = MachineReader(
            supervisor, scheduler, self._clock, memory, guard_action, sources.notices
        )
        self._gpu: LiveGpu | None = None
        self._figures_at = 0.0
        self._last: LiveState | None = None

    def mark_stopping(self) -> None:
        """Show from now on that the daemon is about to end."""
        self._machine.stopping = True

    async def read(self) -> LiveState:
        """The state now."""
        self._clock.adjust()
        is_due = self._is_due(time.monotonic())
        if is_due:
            self._figures_at = time.monotonic()
            self._models.refresh()
            self._gpu = await self._sources.gpu() if self._sources.gpu else None
        models, last = self._models.read(), self._last
        self._last = LiveState(
            machine=self._read_machine(last.machine if last else None, is_due=is_due),
            models=models,
            queue=self._queue.read(),
            in_flight=self._read_in_flight(last.in_flight if last else None, is_due=is_due),
            finished=self._sources.recent.read(),
        )
        return self._last

    def _is_due(self, now: float) -> bool:
        """Whether figures are read again."""
        last = self._last
        is_active = last is None or bool(
            last.queue.waiting
            or last.in_flight.total
            or any(row.in_flight or row.load or row.download for row in last.models.values())
        )
        return now - self._figures_at >= (ACTIVE_INTERVAL if is_active else IDLE_INTERVAL)

    def _read_machine(self, last: LiveMachine | None, *, is_due: bool) -> LiveMachine:
        machine = self._machine.read(sum(self._models.used.values()), self._gpu)
        if last is None or is_due:
            return machine
        # The available memory changes all the time: on its own it is not a reason to send anything.
        old, new = last.memory, machine.memory
        same = (old.reserved, old.budget, old.leaked) == (new.reserved, new.budget, new.leaked)
        same = same and (last.state, last.listen, last.notices) == (
            machine.state,
            machine.listen,
            machine.notices,
        )
        return last if same else machine

    def _read_in_flight(self, last: InFlight | None, *, is_due: bool) -> InFlight:
        active = self._sources.active
        found = InFlight(total=len(active), rows=tuple(active.rows(MAX_REQUESTS)))
        if last is not None and not is_due and _phases(found) == _phases(last):
            return last  # only tokens and speeds differ
        return found


def _phases(in_flight: InFlight) -> list[tuple[str, str]]:
    return [(row.id, row.phase) for row in in_flight.rows]
