"""The composition root: every collaborator is built and joined here, once."""

from __future__ import annotations

import time
from dataclasses import dataclass

from starlette.applications import Starlette

from sparkd.catalog import Catalogue
from sparkd.catalog.definitions import Model
from sparkd.control.app import control_app
from sparkd.engines import ENGINES, engine_problems
from sparkd.errors import CatalogueError
from sparkd.gateway import Gateway
from sparkd.gateway.keys import read_keys
from sparkd.machine.cgroups import Cgroups
from sparkd.machine.memory import Probe
from sparkd.machine.places import Places
from sparkd.scheduling.memory import budget_for, footprint
from sparkd.scheduling.scheduler import Scheduler
from sparkd.supervisor import Supervisor
from sparkd.watch import Watch


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

    def implied(model: Model) -> int | None:
        return ENGINES[model.engine].footprint(model, total)

    scheduler = Scheduler(
        catalogue.models,
        budget=budget_for(catalogue.models.values(), total, settings.memory.reserve, implied),
        footprint=lambda model, budget: footprint(model, budget, implied),
        settings=settings,
    )
    keys = read_keys(catalogue)
    scheduler.on_memory(watch.memory.available, watch.memory.least, time.monotonic())
    supervisor = Supervisor(catalogue, scheduler, places, Cgroups.delegated(), watch)
    return App(supervisor, Gateway(catalogue, supervisor, keys), control_app(supervisor))
