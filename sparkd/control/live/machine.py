"""The daemon and the machine: memory, GPU, and what the owner should know."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from typing import Final

from msgspec import Struct

from sparkd import __version__
from sparkd.catalog.addresses import exposed_addresses
from sparkd.catalog.quantities import GIB
from sparkd.control.live.models import MEMORY_STEP
from sparkd.control.live.sources import Clock
from sparkd.control.live.state import DaemonState, LiveGpu, LiveMachine, LiveMemory, Notice
from sparkd.machine.memory import Memory
from sparkd.scheduling.scheduler import Scheduler
from sparkd.scheduling.status import GuardAction
from sparkd.supervising.supervisor import Supervisor

GUARD_NOTICE: Final = 3600.0
"""Seconds for which the last action of the memory guard is a notice."""

LEAK_NOTICE: Final = GIB


class MachineReader(Struct):
    """Reads the machine. `memory` returns its last reading, `guard_action` what the memory guard did last,
    `notices` what else the owner should know;
    `stopping`: whether the daemon is about to end."""

    supervisor: Supervisor
    scheduler: Scheduler
    clock: Clock
    memory: Callable[[], Memory]
    guard_action: Callable[[], GuardAction | None]
    notices: Callable[[], tuple[Notice, ...]]
    stopping: bool = False

    def read(self, models: int, gpu: LiveGpu | None) -> LiveMachine:
        """The machine now. `models` is what models use, in bytes."""
        supervisor = self.supervisor
        memory = self._read_memory(models)
        return LiveMachine(
            name=socket.gethostname(),
            version=__version__,
            pid=os.getpid(),
            uptime_since=self.clock.date(supervisor.started),
            state=self._state(),
            listen=supervisor.listen,
            memory=memory,
            gpu=gpu,
            notices=tuple(self._list_notices(memory)),
        )

    def _state(self) -> DaemonState:
        if self.stopping:
            return "stopping"
        return "replacing" if self.supervisor.replacing else "serving"

    def _read_memory(self, models: int) -> LiveMemory:
        scheduler, reading = self.scheduler, self.memory()
        budget = scheduler.budget
        available = None if reading.available is None else reading.available // MEMORY_STEP * MEMORY_STEP
        action = self.guard_action()
        return LiveMemory(
            kind=reading.kind,
            total=reading.total,
            reserve=budget.reserve,
            budget=budget.bytes,
            reserved=scheduler.reserved,
            models=models,
            launchers=budget.launchers // MEMORY_STEP * MEMORY_STEP,
            leaked=budget.leaked,
            floor=scheduler.guard.floor,
            available=available,
            system=_system_share(reading.total, available, models + budget.launchers),
            free=reading.free // MEMORY_STEP * MEMORY_STEP,
            guard_at=round(time.time() - action.seconds_ago) if action else None,
            guard_model=action.model if action else None,
        )

    def _list_notices(self, memory: LiveMemory) -> Iterator[Notice]:
        yield from self.notices()
        server = self.supervisor.catalogue.settings.server
        exposed = exposed_addresses(self.supervisor.listen) if server.api_key_file is None else ()
        if exposed:
            yield Notice(
                level="bad",
                text=f"Other machines can use sparkd at {', '.join(exposed)} without an API key. "
                "Set server.api_key_file, or listen only on localhost.",
            )
        if memory.guard_at is not None and time.time() - memory.guard_at < GUARD_NOTICE:
            yield Notice(
                level="warn",
                text=f"The memory guard ended {memory.guard_model}, because the machine ran out of memory. "
                "Other models and programs need more than their footprints say.",
                model=memory.guard_model,
            )
        if memory.leaked >= LEAK_NOTICE:
            yield Notice(
                level="warn",
                text=f"{memory.leaked / GIB:.1f} GiB did not come back after a model ended. A reboot frees them.",
            )


def _system_share(total: int, available: int | None, sparkd: int) -> int | None:
    return None if available is None else max(0, total - available - sparkd)
