"""Builds the daemon's status from the ledger, the runs and the history; logs the end of runs."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping

from msgspec import Struct, field, structs
from msgspec.structs import asdict

from sparkd import __version__
from sparkd.catalog import Catalogue
from sparkd.catalog.addresses import exposed_addresses
from sparkd.catalog.definitions import Model
from sparkd.journal.handler import event
from sparkd.learning.learning import Learning
from sparkd.scheduling.ledger import Entry
from sparkd.scheduling.lifecycle import State
from sparkd.scheduling.memory import Budget, Footprint
from sparkd.scheduling.scheduler import Scheduler
from sparkd.scheduling.status import (
    ALL_MODELS,
    USED_MODELS,
    LastRun,
    MemoryStatus,
    ModelChoice,
    ModelStatus,
    QueueStatus,
    Status,
    build_model_status,
)
from sparkd.supervising.crash_watch import CrashWatch
from sparkd.supervising.downloads import Downloads
from sparkd.supervising.forecasts import Forecasts
from sparkd.supervising.launchers import Launchers
from sparkd.supervising.run import Run

logger = logging.getLogger(__name__)


def log_run_end(model_id: str, entry: Entry | None) -> None:
    """Log how a run ended."""
    if entry is None or entry.state is not State.BACKOFF:
        logger.info('Model "%s" stopped', model_id, extra=event("stopped", model_id))
    elif entry.is_quarantined:
        message = (
            'Model "%s" failed %d times in a row and is now in quarantine: %s Then run `sparkctl retry %s`.'
        )
        values = model_id, entry.failures, entry.cause, model_id
        logger.error(message, *values, extra=event("quarantined", model_id))
    else:
        pause = max(0.0, entry.retry_at - time.monotonic())
        message = 'Model "%s" failed: %s sparkd starts it again at the next request, in %.0f seconds at the earliest.'
        logger.error(message, model_id, entry.cause, pause, extra=event("model-failed", model_id))


class UnusedModels:
    """The status of models that were never used. It is kept, because a catalogue can have thousands of them."""

    def __init__(self) -> None:
        self._inputs: tuple[Catalogue, Budget] | None = None
        self._rows: dict[str, ModelStatus] = {}

    def list_all(
        self, catalogue: Catalogue, budget: Budget, footprint: Callable[[Model], Footprint]
    ) -> Mapping[str, ModelStatus]:
        """Return the status of each model, by id, without the time in which it was not used."""
        if self._inputs is None or self._inputs[0] is not catalogue or self._inputs[1] != budget:
            self._inputs = catalogue, budget
            self._rows = {
                model.id: build_model_status(
                    Entry(model, *footprint(model), since=0.0), 0.0, pid=None, milestone=None
                )
                for model in catalogue.models.values()
            }
        return self._rows


class StatusReporter(Struct, frozen=True):
    """Builds the status. Only reads the scheduler, the runs (by number), the history and the downloads."""

    scheduler: Scheduler
    runs: Mapping[int, Run]
    learning: Learning
    downloads: Downloads
    launchers: Launchers
    crashes: CrashWatch
    forecasts: Forecasts
    started: float
    replacements: int
    unused: UnusedModels = field(default_factory=UnusedModels)

    def status(
        self, catalogue: Catalogue, listen: tuple[str, ...], choice: ModelChoice, *, replacing: bool
    ) -> Status:
        """Return the current status of the daemon, and of the chosen models."""
        scheduler, queue = self.scheduler, catalogue.settings.queue
        return Status(
            version=__version__,
            pid=os.getpid(),
            uptime=time.monotonic() - self.started,
            listen=listen,
            memory=MemoryStatus(
                total=scheduler.budget.total,
                reserve=scheduler.budget.reserve,
                budget=scheduler.budget.bytes,
                reserved=scheduler.reserved,
                floor=scheduler.guard.floor,
                available=scheduler.available,
                leaked=scheduler.budget.leaked,
                launchers=scheduler.budget.launchers,
                last_guard_action=self.learning.last_guard_action(),
            ),
            queue=QueueStatus(waiting=scheduler.waiting, max_length=queue.max_length, on_busy=queue.on_busy),
            models=tuple(self._list_models(catalogue, choice)),
            launchers=self.launchers.status(),
            replacements=self.replacements,
            replacing=replacing,
            exposed=exposed_addresses(listen) if catalogue.settings.server.api_key_file is None else (),
        )

    def _list_models(self, catalogue: Catalogue, choice: ModelChoice) -> Iterator[ModelStatus]:
        """The models that have left the catalogue and still use memory, and those of the catalogue in its order."""
        scheduler, known = self.scheduler, catalogue.models
        withdrawn = {
            entry.model.id: entry.model
            for entry in scheduler.entries()
            if entry.withdrawn and entry.is_resident
        }
        if choice is not ALL_MODELS:
            ids = self._find_used() if choice == USED_MODELS else (choice,)
            models = (withdrawn.get(id_) or known.get(id_) for id_ in ids)
            yield from (self._model_status(model) for model in models if model)
            return
        used, age = self._find_used(), time.monotonic() - self.started
        rest = self.unused.list_all(catalogue, scheduler.budget, scheduler.footprint)
        yield from (self._model_status(model) for id_, model in withdrawn.items() if id_ not in known)
        for id_, model in known.items():
            if id_ in used:
                yield self._model_status(withdrawn.get(id_, model))
            else:
                yield structs.replace(rest[id_], state_seconds=age)

    def _find_used(self) -> dict[str, None]:
        """The ids of the models that are different from one that was never used, as a set with an order."""
        ids = (entry.model.id for entry in self.scheduler.entries())
        return dict.fromkeys(
            (*ids, *self.learning.models_with_runs, *self.downloads.downloading(), *self.crashes.models)
        )

    def _model_status(self, model: Model) -> ModelStatus:
        return self.downloads.with_download(self._describe_used(model))

    def _describe_used(self, model: Model) -> ModelStatus:
        scheduler = self.scheduler
        entry = scheduler.entry(model.id) or Entry(model, *scheduler.footprint(model), since=self.started)
        run = self.runs.get(entry.run)
        profile = self.learning.profile(model)
        return structs.replace(
            build_model_status(
                entry,
                time.monotonic(),
                pid=run.pid if run else None,
                milestone=run.milestone if run else None,
            ),
            learned=profile.footprint if profile else None,
            **(run.memory_figures() if run else {}),
            **_describe_start(run.cold_reason if run else None),
            last_run=LastRun(**asdict(profile.last)) if profile else None,
            rejected_requests=self.crashes.list_rejected(model.id),
            forecast=self.forecasts.of_model(model),
        )


def _describe_start(cold_reason: str | None) -> dict[str, str]:
    """How the engine was started, as fields of ModelStatus. `cold_reason` is None if it was not started."""
    if cold_reason is None:
        return {}
    return {"start": "cold", "cold_reason": cold_reason} if cold_reason else {"start": "warm"}
