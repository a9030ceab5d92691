"""The composition root: every collaborator is built and joined here, once."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from starlette.applications import Starlette

from sparkd.catalog import Catalogue
from sparkd.continuity.handover import Held
from sparkd.continuity.reloading import Reloading, remember
from sparkd.continuity.replacement import Replacement
from sparkd.continuity.succession import Succession
from sparkd.control.app import control_app
from sparkd.engines import engine_problems
from sparkd.errors import CatalogueError
from sparkd.gateway import Gateway
from sparkd.gateway.keys import read_keys
from sparkd.learning.history import History
from sparkd.learning.learning import Learning
from sparkd.machine.memory import Probe
from sparkd.processes import cgroups
from sparkd.processes.pids import boot_id
from sparkd.processes.places import Places
from sparkd.scheduling.scheduler import Scheduler
from sparkd.supervising.downloads import Downloads
from sparkd.supervising.memory_watch import Watch
from sparkd.supervising.supervisor import Supervisor
from sparkd.supervising.terms import declared_budget, terms

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class App:
    """Everything a daemon serves, joined together."""

    supervisor: Supervisor
    gateway: Gateway
    reloading: Reloading
    succession: Succession
    replacement: Replacement
    control: Starlette


def compose(catalogue: Catalogue, places: Places, held: Held | None = None) -> App:
    """Join everything for one catalogue, and go on with what an earlier sparkd `held`.

    Needs a running event loop. Raises CatalogueError where only engines or files beside the catalogue can tell that
    something is wrong, and ProbeError where the machine does not say how much memory it has.
    """
    if problems := engine_problems(catalogue):
        raise CatalogueError(problems)
    held = held or Held()
    watch = Watch(Probe())
    found = watch.memory.total
    history = History.open(catalogue.folder("state") / "history.sqlite", boot_id())
    for notice in history.notices:
        logger.warning("%s", notice)
    learning = Learning(catalogue, history, found, declared_budget(catalogue, found), going_on=held.models)
    budget, footprint = terms(catalogue, found, learning)
    models = {**catalogue.models, **held.definitions()}
    scheduler = Scheduler(models, budget=budget, footprint=footprint, settings=catalogue.settings)
    keys = read_keys(catalogue)
    known = {entry.model for entry in held.entries}
    scheduler.on_memory(watch.memory.available, watch.memory.least, time.monotonic())
    supervisor = Supervisor(
        catalogue,
        scheduler,
        places=places,
        cgroups=cgroups.claim(),
        watch=watch,
        learning=learning,
        downloads=Downloads(catalogue),
        started=held.started,
        replaced=held.replaced,
    )
    remember(supervisor, scheduler, learning, [each for each in learning.noted() if each.id not in known])
    gateway = Gateway(catalogue, supervisor, keys)
    reloading = Reloading(supervisor, scheduler, gateway, learning, found)
    succession, replacement = Succession(supervisor, scheduler, learning), Replacement(catalogue)
    control = control_app(supervisor, reloading, replacement)
    return App(supervisor, gateway, reloading, succession, replacement, control)
