"""What runs models: the scheduler, the supervisor, and what they need."""

from __future__ import annotations

import logging
import time
from typing import Final

from msgspec import Struct

from sparkd.catalog import Catalogue
from sparkd.catalog.quantities import GIB
from sparkd.continuity.handover import DaemonSnapshot
from sparkd.continuity.reloading import restore_quarantines
from sparkd.engines import find_engine_problems
from sparkd.errors import CatalogueError
from sparkd.learning.history import History
from sparkd.learning.learning import Learning
from sparkd.machine.memory import MemoryProbe
from sparkd.processes import cgroups
from sparkd.processes.pids import boot_id
from sparkd.processes.run_directories import RunDirectories
from sparkd.scheduling.scheduler import Scheduler
from sparkd.supervising.downloads import Downloads
from sparkd.supervising.launchers import Launchers
from sparkd.supervising.memory_policy import declared_budget, memory_policy_for
from sparkd.supervising.memory_watch import MemoryWatch
from sparkd.supervising.starting import EngineStarter
from sparkd.supervising.supervisor import Supervisor
from sparkd.supervising.tasks import Tasks
from sparkd.supervising.template_facts import TemplateFacts

logger = logging.getLogger(__name__)

LAUNCHER_MEMORY: Final = GIB
"""Bytes that must be free for a launcher. vLLM's uses half of it."""


class EngineRoom(Struct, frozen=True):
    """What runs models, and what it knows."""

    supervisor: Supervisor
    scheduler: Scheduler
    watch: MemoryWatch
    learning: Learning
    templates: TemplateFacts


def build_engine_room(
    catalogue: Catalogue, run_directories: RunDirectories, snapshot: DaemonSnapshot
) -> EngineRoom:
    """Create everything that runs the catalogue's models. `snapshot` is what an earlier sparkd has handed over.

    Needs a running event loop. Raises CatalogueError for problems that only engines reveal, and ProbeError if the
    machine's memory cannot be read.
    """
    if problems := find_engine_problems(catalogue):
        raise CatalogueError(problems)
    watch = MemoryWatch(MemoryProbe())
    machine_total = watch.memory.total
    history = History.open(catalogue.folder("state") / "history.sqlite", boot_id())
    for notice in history.notices:
        logger.warning("%s", notice)
    learning = Learning(
        catalogue, history, machine_total, declared_budget(catalogue, machine_total), resumed=snapshot.models
    )
    budget, footprint = memory_policy_for(catalogue, machine_total, learning)
    models = {**catalogue.models, **snapshot.definitions()}
    scheduler = Scheduler(
        models,
        budget=budget,
        footprint=footprint,
        settings=catalogue.settings,
        can_prepare=lambda model: supervisor.resources.can_prepare(model),  # noqa: PLW0108 - created below
        load_time=learning.load_time,
    )
    known = {entry.model for entry in snapshot.entries}
    scheduler.on_memory(watch.memory.available, watch.memory.scarcest, time.monotonic())
    tasks, claimed = Tasks(), cgroups.claim()
    launchers = Launchers(
        run_directories=run_directories,
        cgroups=claimed,
        learning=learning,
        tasks=tasks,
        has_room=lambda: _has_room_for_launcher(scheduler, watch),
        on_memory=lambda used: supervisor.resources.on_launchers(used),  # noqa: PLW0108 - created below
    )
    downloads, templates = Downloads(catalogue), TemplateFacts(catalogue, tasks)
    downloads.on_complete = templates.refresh
    supervisor = Supervisor(
        catalogue,
        scheduler,
        run_directories=run_directories,
        starter=EngineStarter(run_directories, claimed, launchers),
        watch=watch,
        learning=learning,
        downloads=downloads,
        tasks=tasks,
        started=snapshot.started,
        replacements=snapshot.replacements,
    )
    restore_quarantines(
        supervisor,
        scheduler,
        learning,
        [each for each in learning.models_with_records() if each.id not in known],
    )
    supervisor.runs.on_launch = lambda model: templates.refresh([model])  # the files may have changed
    return EngineRoom(supervisor, scheduler, watch, learning, templates)


def _has_room_for_launcher(scheduler: Scheduler, watch: MemoryWatch) -> bool:
    """Whether a launcher fits beside what runs now. On a GPU with its own memory, it uses the host's.

    While launchers end because a model needs their memory, another one would take that memory again.
    """
    if scheduler.is_ending_launchers:
        return False
    if watch.memory.kind == "separate":
        return watch.memory.host_available - scheduler.guard.floor >= LAUNCHER_MEMORY
    return scheduler.has_room(LAUNCHER_MEMORY)
