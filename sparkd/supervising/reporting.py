"""Builds the daemon's status from the ledger, the runs and the history; logs the end of runs."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping

from msgspec import Struct, structs
from msgspec.structs import asdict

from sparkd import __version__
from sparkd.catalog import Catalogue
from sparkd.catalog.addresses import exposed_addresses
from sparkd.catalog.definitions import Model
from sparkd.journal.handler import event
from sparkd.learning.learning import Learning
from sparkd.scheduling.ledger import Entry
from sparkd.scheduling.lifecycle import State
from sparkd.scheduling.scheduler import Scheduler
from sparkd.scheduling.status import (
    LastRun,
    MemoryStatus,
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

    def status(self, catalogue: Catalogue, listen: tuple[str, ...], *, replacing: bool) -> Status:
        """Return the current status of the daemon."""
        scheduler, queue = self.scheduler, catalogue.settings.queue
        withdrawn = [entry.model for entry in scheduler.entries() if entry.withdrawn and entry.is_resident]
        models = {model.id: model for model in (*withdrawn, *catalogue.models.values())}
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
            models=tuple(
                self.downloads.with_download(self._model_status(model)) for model in models.values()
            ),
            launchers=self.launchers.status(),
            replacements=self.replacements,
            replacing=replacing,
            exposed=exposed_addresses(listen) if catalogue.settings.server.api_key_file is None else (),
        )

    def _model_status(self, model: Model) -> ModelStatus:
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
