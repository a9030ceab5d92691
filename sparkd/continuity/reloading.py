"""Reloads the catalogue while everything runs. A catalogue with an error changes nothing."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping

from msgspec import structs

from sparkd.catalog import Catalogue
from sparkd.catalog.definitions import Model
from sparkd.catalog.reading.keys import Keys, read_keys
from sparkd.catalog.settings import Paths
from sparkd.editing.apart import read_apart
from sparkd.errors import CatalogueError
from sparkd.gateway import Gateway
from sparkd.learning.learning import Learning
from sparkd.scheduling.memory import Budget
from sparkd.scheduling.scheduler import Scheduler
from sparkd.scheduling.status import USED_MODELS, Reload
from sparkd.supervising.memory_policy import declared_budget, memory_policy_for
from sparkd.supervising.supervisor import Supervisor
from sparkd.supervising.template_facts import TemplateFacts

logger = logging.getLogger(__name__)


class CatalogueReloader:
    """Reloads the catalogue of one daemon. `machine_total` is the machine's memory in bytes. `on_reload` is called
    after each reload that succeeded."""

    def __init__(
        self,
        supervisor: Supervisor,
        scheduler: Scheduler,
        gateway: Gateway,
        learning: Learning,
        *,
        template_facts: TemplateFacts,
        machine_total: int,
    ) -> None:
        self._supervisor = supervisor
        self._scheduler = scheduler
        self._gateway = gateway
        self._learning = learning
        self._template_facts = template_facts
        self._machine_total = machine_total
        self.on_reload: Callable[[Reload], None] = lambda _: None
        self._lock = asyncio.Lock()  # otherwise an older catalogue could replace a newer one

    async def reload(self) -> Reload:
        """Reload the catalogue and its API keys; return what has changed.

        Running models that would now be started differently, and removed or disabled ones, are drained and stopped.
        Others are not affected. Raises CatalogueError; then nothing changes.
        """
        async with self._lock:
            old = self._supervisor.catalogue
            try:
                new = await read_apart(old)
                change, keys, budget = await asyncio.to_thread(self._compare_allowed, old, new)
            except CatalogueError as error:
                for problem in error.problems:
                    logger.error(
                        "Catalogue not reloaded: %s", problem, extra={"fields": {"EVENT": "reload-failed"}}
                    )
                raise
            old_keys = self._command_keys(old)
            self._learning.use_catalogue(new, budget)
            new_keys = self._command_keys(new)
            restart = {id_ for id_ in old_keys.keys() & new_keys.keys() if old_keys[id_] != new_keys[id_]}
            self._clear_quarantines(new)
            self._supervisor.use_catalogue(
                new, restart, memory_policy_for(new, self._machine_total, self._learning)
            )
            self._gateway.serve(new, keys)
            self._template_facts.use_catalogue(new)
            change = structs.replace(change, restarted=tuple(sorted(restart)))
            restore_quarantines(
                self._supervisor, self._scheduler, self._learning, [new.models[id_] for id_ in change.added]
            )
        logger.info("Catalogue reloaded: %s", change.describe(), extra={"fields": {"EVENT": "reload"}})
        self.on_reload(change)
        if change.settings_changed and (exposure := self._supervisor.status(USED_MODELS).describe_exposure()):
            logger.warning("%s", exposure, extra={"fields": {"EVENT": "exposed"}})
        return change

    async def preview(self, new: Catalogue) -> Reload:
        """Return what a reload would change if it found this catalogue. Changes nothing.

        Raises CatalogueError for changes that need a restart of sparkd.
        """
        old = self._supervisor.catalogue
        change, _, budget = await asyncio.to_thread(self._compare_allowed, old, new)
        now = self._command_keys(old)
        restart = {
            id_
            for id_, key in now.items()
            if (model := new.models.get(id_))
            and model.enabled
            and key != self._learning.command_key_with(model, new, budget)
        }
        return structs.replace(change, restarted=tuple(sorted(restart)))

    def apply_to_resumed(self, definitions: Mapping[str, Model]) -> None:
        """Apply the current catalogue to models that an earlier sparkd launched with these definitions."""
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

    def _compare_allowed(self, old: Catalogue, new: Catalogue) -> tuple[Reload, Keys, Budget]:
        """Return what differs, and the keys and the budget of the new catalogue. Takes milliseconds for thousands of
        models: call it in a thread.

        Raises CatalogueError for what cannot change while sparkd runs, and for a file with keys that cannot be read.
        """
        if problems := _find_fixed_changes(old, new):
            raise CatalogueError(problems)
        return _compare(old, new), read_keys(new), declared_budget(new, self._machine_total)

    def _command_keys(self, catalogue: Catalogue) -> dict[str, str]:
        """Return the command key, by this catalogue, of each model that uses memory."""
        resident = [entry.model.id for entry in self._scheduler.entries() if entry.is_resident]
        return {
            id_: self._learning.command_key(model)
            for id_ in resident
            if (model := catalogue.models.get(id_)) and model.enabled
        }

    def _clear_quarantines(self, new: Catalogue) -> None:
        """Lift the quarantine of models whose definition has changed."""
        for entry in self._scheduler.entries():
            model = new.models.get(entry.model.id)
            if entry.is_quarantined and model and not model.launches_same_as(entry.model):
                self._learning.clear_quarantine(model)


def restore_quarantines(
    supervisor: Supervisor, scheduler: Scheduler, learning: Learning, models: list[Model]
) -> None:
    """Report guard kills and quarantines from the history to the scheduler, and log the quarantines."""
    for model in models:
        kills, cause = learning.guard_kills(model), learning.quarantine_cause(model)
        if kills or cause:
            supervisor.carry_out(scheduler.on_remembered(model.id, kills, cause, time.monotonic()))
        if cause:
            message = 'Model "%s" is in quarantine: %s Then run `sparkctl retry %s`.'
            logger.warning(message, model.id, cause, model.id)


def _find_fixed_changes(old: Catalogue, new: Catalogue) -> list[str]:
    """Return the changes that need a restart: of the listening address, and of folders that engines use."""
    changed = [
        f"server.{key}"
        for key in ("listen", "ollama_listen")
        if getattr(new.settings.server, key) != getattr(old.settings.server, key)
    ]
    changed += changed_paths(old.settings.paths, new.settings.paths)
    return [
        f"{new.path}: {key}: cannot change while sparkd runs; restart it (`systemctl restart sparkd`)"
        for key in changed
    ]


def changed_paths(old: Paths, new: Paths) -> list[str]:
    """Return the keys of the folders that have changed."""
    return [f"paths.{name}" for name in Paths.__struct_fields__ if getattr(old, name) != getattr(new, name)]


def _compare(old: Catalogue, new: Catalogue) -> Reload:
    before = {id_: model for id_, model in old.models.items() if model.enabled}
    after = {id_: model for id_, model in new.models.items() if model.enabled}
    changed = [
        id_
        for id_ in before.keys() & after.keys()
        if before[id_] is not after[id_] and before[id_] != after[id_]
    ]
    return Reload(
        added=tuple(sorted(after.keys() - before.keys())),
        removed=tuple(sorted(before.keys() - after.keys())),
        changed=tuple(sorted(changed)),
        restarted=(),
        settings_changed=old.settings != new.settings,
    )
