"""Passes engines and ledger from one sparkd to the next under the same PID, and takes them over there."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from sparkd.catalog.definitions import Model
from sparkd.continuity.handover import DaemonSnapshot
from sparkd.errors import LaunchError
from sparkd.journal.handler import event
from sparkd.learning.learning import Learning
from sparkd.processes.log import load_ended_log
from sparkd.scheduling.scheduler import Scheduler
from sparkd.scheduling.snapshot import TRANSFERABLE_STATES
from sparkd.supervising.run_snapshot import RunSnapshot
from sparkd.supervising.supervisor import Supervisor

logger = logging.getLogger(__name__)


class Succession:
    """Both sides of a succession, for one supervisor, its scheduler and its history."""

    def __init__(self, supervisor: Supervisor, scheduler: Scheduler, learning: Learning) -> None:
        self._supervisor = supervisor
        self._scheduler = scheduler
        self._learning = learning

    def begin(self) -> None:
        """Reject waiting requests from now on, so that everything becomes transferable."""
        self._supervisor.downloads.interrupt()
        self._supervisor.carry_out(self._scheduler.on_replacing(time.monotonic()))

    def cancel(self) -> None:
        """Accept waiting requests again, because the replacement failed."""
        self._supervisor.downloads.reopen()
        self._scheduler.reopen()

    def snapshot(self) -> DaemonSnapshot | None:
        """Return what the next program needs. None while a request is in progress or a model is stopping."""
        supervisor = self._supervisor
        launchers = supervisor.launchers
        parts_are_transferable = (
            self._scheduler.is_transferable
            and not supervisor.downloads.busy
            and supervisor.runs.is_transferable
            and launchers.is_transferable
        )
        if not parts_are_transferable:
            return None
        snapshots = [run.snapshot() for run in supervisor.runs.launched.values()]
        runs = tuple(run for run in snapshots if run is not None)
        if len(runs) < len(snapshots):
            return None
        return DaemonSnapshot(
            runs=runs,
            entries=tuple(self._scheduler.snapshot()),
            launchers=launchers.snapshot(),
            logs={model_id: str(log.path) for model_id, log in supervisor.runs.logs.items() if log.path},
            places=tuple(self._scheduler.snapshot_places()),
            started=supervisor.started,
            replacements=supervisor.replacements + 1,
        )

    def close(self) -> None:
        """Finish the writes to the history. Nothing may be started after this."""
        self._learning.close()

    def resume(self, snapshot: DaemonSnapshot) -> list[Path]:
        """Continue where the previous sparkd stopped; return the private folders of the processes that keep running.

        The scheduler must already know every model that `snapshot` has a definition of.
        """
        definitions = snapshot.definitions()
        resumed = [run for run in snapshot.runs if self._resume(run, definitions)]
        numbers = {run.number for run in resumed}
        for model_id, path in snapshot.logs.items():
            self._supervisor.runs.logs.setdefault(model_id, load_ended_log(Path(path)))
        self._scheduler.restore_places(snapshot.places)
        now = time.monotonic()
        for entry in snapshot.entries:
            if self._scheduler.has_model(entry.model) and (
                entry.state not in TRANSFERABLE_STATES or entry.run in numbers
            ):
                self._supervisor.carry_out(self._scheduler.on_held(entry, now))
        for number in numbers:
            self._supervisor.runs.follow(number)
        engines = [Path(run.attempt.process.directory) for run in resumed]
        return engines + self._supervisor.launchers.resume(snapshot.launchers)

    def _resume(self, snapshot: RunSnapshot, definitions: dict[str, Model]) -> bool:
        model_id = str(snapshot.definition.get("id"))
        model = self._supervisor.catalogue.models.get(model_id) or definitions.get(model_id)
        if model is None:
            return False
        try:
            self._supervisor.runs.resume(model, snapshot)
        except (LaunchError, OSError) as error:
            logger.warning('Cannot take over the engine of model "%s", so it is stopped: %s', model_id, error)
            return False
        message = 'Model "%s" keeps running (run %d)'
        logger.info(message, model_id, snapshot.number, extra=event("resumed", model_id))
        return True
