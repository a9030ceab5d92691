"""The catalogue, read again while everything runs: all of it is taken, or nothing."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping

from msgspec import structs

from sparkd.catalog import Catalogue
from sparkd.catalog.definitions import Model
from sparkd.catalog.reading import read_catalogue
from sparkd.catalog.settings import Paths
from sparkd.engines import find_engine_problems
from sparkd.errors import CatalogueError
from sparkd.gateway import Gateway
from sparkd.gateway.keys import read_keys
from sparkd.learning.learning import Learning
from sparkd.scheduling.scheduler import Scheduler
from sparkd.scheduling.status import Reload
from sparkd.supervising.memory_policy import declared_budget, memory_policy_for
from sparkd.supervising.supervisor import Supervisor

logger = logging.getLogger(__name__)


class CatalogueReloader:
    """Reads the catalogue of one daemon again. `found` is the memory of the machine, in bytes."""

    def __init__(
        self,
        supervisor: Supervisor,
        scheduler: Scheduler,
        gateway: Gateway,
        learning: Learning,
        machine_total: int,
    ) -> None:
        self._supervisor = supervisor
        self._scheduler = scheduler
        self._gateway = gateway
        self._learning = learning
        self._machine_total = machine_total
        self._lock = asyncio.Lock()  # else the one that was read first could be taken last

    async def reload(self) -> Reload:
        """Read the catalogue and its keys again and go by them; return what has changed.

        Models that would be started differently now are drained and stopped, removed and disabled ones too; nothing
        else notices. Raises CatalogueError, and then everything stays as it is.
        """
        async with self._lock:
            old = self._supervisor.catalogue
            try:
                new, change = await asyncio.to_thread(_read_changes, old)
                keys = read_keys(new)
            except CatalogueError as error:
                for problem in error.problems:
                    logger.error(
                        "catalogue not taken: %s", problem, extra={"fields": {"EVENT": "reload-failed"}}
                    )
                raise
            before = self._command_keys(old)
            self._learning.use_catalogue(new, declared_budget(new, self._machine_total))
            after = self._command_keys(new)
            restart = {id_ for id_ in before.keys() & after.keys() if before[id_] != after[id_]}
            self._clear_quarantines(new)
            self._supervisor.use_catalogue(
                new, restart, memory_policy_for(new, self._machine_total, self._learning)
            )
            self._gateway.serve(new, keys)
            change = structs.replace(change, restarted=tuple(sorted(restart)))
            restore_quarantines(
                self._supervisor, self._scheduler, self._learning, [new.models[id_] for id_ in change.added]
            )
        logger.info("catalogue read again: %s", change.describe(), extra={"fields": {"EVENT": "reload"}})
        return change

    def apply_to_resumed(self, definitions: Mapping[str, Model]) -> None:
        """Go by the catalogue as it is now with models that an earlier sparkd has launched by these definitions."""
        catalogue = self._supervisor.catalogue
        running = [entry.model.id for entry in self._scheduler.entries() if entry.is_resident]
        restart = {
            id_
            for id_ in running
            if (old := definitions.get(id_))
            and (new := catalogue.models.get(id_))
            and self._learning.command_key(old) != self._learning.command_key(new)
        }
        self._supervisor.use_catalogue(
            catalogue, restart, memory_policy_for(catalogue, self._machine_total, self._learning)
        )

    def _command_keys(self, catalogue: Catalogue) -> dict[str, str]:
        """How each model that holds memory is started, by this catalogue."""
        resident = [entry.model.id for entry in self._scheduler.entries() if entry.is_resident]
        return {
            id_: self._learning.command_key(model)
            for id_ in resident
            if (model := catalogue.models.get(id_)) and model.enabled
        }

    def _clear_quarantines(self, new: Catalogue) -> None:
        """Forget why a model was not to be started, where that was another definition."""
        for entry in self._scheduler.entries():
            model = new.models.get(entry.model.id)
            if entry.is_quarantined and model and not model.launches_same_as(entry.model):
                self._learning.clear_quarantine(model)


def restore_quarantines(
    supervisor: Supervisor, scheduler: Scheduler, learning: Learning, models: list[Model]
) -> None:
    """Tell the scheduler what an earlier sparkd knew of the models, and the journal what must not start by itself."""
    for model in models:
        kills, cause = learning.guard_kills(model), learning.quarantine_cause(model)
        if kills or cause:
            supervisor.carry_out(scheduler.on_remembered(model.id, kills, cause, time.monotonic()))
        if cause:
            logger.warning("%s is in quarantine: %s `sparkctl retry %s` lifts it", model.id, cause, model.id)


def _read_changes(old: Catalogue) -> tuple[Catalogue, Reload]:
    """The catalogue as it is now, and what is new in it. In a thread: 10,000 models take a second."""
    new = read_catalogue(old.path)
    if problems := [*find_engine_problems(new), *_find_fixed_changes(old, new)]:
        raise CatalogueError(problems)
    return new, _compare(old, new)


def _find_fixed_changes(old: Catalogue, new: Catalogue) -> list[str]:
    """What cannot change while sparkd runs: doors are open already, engines live in their folders."""
    changed = ["server.listen"] if new.settings.server.listen != old.settings.server.listen else []
    changed += changed_paths(old.settings.paths, new.settings.paths)
    return [
        f"{new.path}: {key}: cannot change while sparkd runs; restart it (`systemctl restart sparkd`)"
        for key in changed
    ]


def changed_paths(old: Paths, new: Paths) -> list[str]:
    """Keys of the folders that are elsewhere now."""
    return [f"paths.{name}" for name in Paths.__struct_fields__ if getattr(old, name) != getattr(new, name)]


def _compare(old: Catalogue, new: Catalogue) -> Reload:
    before = {id_: model for id_, model in old.models.items() if model.enabled}
    after = {id_: model for id_, model in new.models.items() if model.enabled}
    return Reload(
        added=tuple(sorted(after.keys() - before.keys())),
        removed=tuple(sorted(before.keys() - after.keys())),
        changed=tuple(sorted(id_ for id_ in before.keys() & after.keys() if before[id_] != after[id_])),
        restarted=(),
        settings_changed=old.settings != new.settings,
    )
