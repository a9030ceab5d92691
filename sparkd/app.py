"""The composition root: every collaborator is built and joined here, once."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace

from starlette.applications import Starlette

from sparkd.catalog import Catalogue
from sparkd.catalog.definitions import Model
from sparkd.control.app import control_app
from sparkd.engines import ENGINES, engine_problems
from sparkd.errors import CatalogueError
from sparkd.gateway import Gateway
from sparkd.gateway.keys import read_keys
from sparkd.history import History
from sparkd.learning import Learning
from sparkd.machine.cgroups import Cgroups
from sparkd.machine.memory import Probe
from sparkd.machine.pids import boot_id
from sparkd.machine.places import Places
from sparkd.scheduling.memory import budget_for, footprint
from sparkd.scheduling.scheduler import Scheduler
from sparkd.supervisor import Supervisor
from sparkd.watch import Watch

journal = logging.getLogger("sparkd.app")


@dataclass(frozen=True, slots=True)
class App:
    """Everything a daemon serves, joined together."""

    supervisor: Supervisor
    gateway: Gateway
    control: Starlette


def compose(catalogue: Catalogue, places: Places) -> App:
    """Join everything for one catalogue. Needs a running event loop. Raises CatalogueError where only engines or
    files beside the catalogue can tell that something is wrong, and ProbeError where the machine does not say how
    much memory it has."""
    if problems := engine_problems(catalogue):
        raise CatalogueError(problems)
    settings, watch = catalogue.settings, Watch(Probe())
    total = settings.memory.total or watch.memory.total

    history = History.open(catalogue.folder("state") / "history.sqlite", boot_id())
    for notice in history.notices:
        journal.warning("%s", notice)

    def implied(model: Model) -> int | None:
        return ENGINES[model.engine].footprint(model, total)

    reserve, models = settings.memory.reserve, catalogue.models.values()
    learning = Learning(catalogue, history, watch.memory.total, budget_for(models, total, reserve, implied))
    budget = replace(
        budget_for(models, total, reserve, implied, learning.footprint),
        leaked=learning.leaked,
        slots=settings.memory.main_slots,
    )
    scheduler = Scheduler(
        catalogue.models,
        budget=budget,
        footprint=lambda model, budget: footprint(model, budget, implied, learning.footprint),
        settings=settings,
    )
    keys = read_keys(catalogue)
    _remember(scheduler, learning)
    scheduler.on_memory(watch.memory.available, watch.memory.least, time.monotonic())
    supervisor = Supervisor(
        catalogue, scheduler, places=places, cgroups=Cgroups.delegated(), watch=watch, learning=learning
    )
    return App(supervisor, Gateway(catalogue, supervisor, keys), control_app(supervisor))


def _remember(scheduler: Scheduler, learning: Learning) -> None:
    """Tell the scheduler what an earlier sparkd knew, and the journal what it must not start by itself."""
    for model in learning.noted():
        kills, held = learning.guard_kills(model), learning.held(model)
        if kills or held:
            scheduler.on_remembered(model.id, kills, held, time.monotonic())
        if held:
            journal.warning("%s is in quarantine: %s `sparkctl retry %s` lifts it", model.id, held, model.id)
