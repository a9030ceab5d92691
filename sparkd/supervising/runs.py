"""The runs of all models: created, prepared, launched, and forgotten once nothing of them is left."""

from __future__ import annotations

import logging
from collections.abc import Callable

from sparkd.catalog.definitions import Model
from sparkd.journal.handler import event
from sparkd.processes.log import Log
from sparkd.processes.run_directories import RunDirectories
from sparkd.supervising.run import Run
from sparkd.supervising.run_life import RunLife, RunServices
from sparkd.supervising.run_snapshot import RunSnapshot
from sparkd.supervising.starting import EngineStarter
from sparkd.supervising.tasks import Tasks

logger = logging.getLogger(__name__)


class Runs:
    """`launched` contains every launched run that is not cleaned up yet, by number, and `logs` the last log of each
    model."""

    def __init__(
        self, services: RunServices, *, run_directories: RunDirectories, starter: EngineStarter, tasks: Tasks
    ) -> None:
        self.launched = services.launched
        self.on_launch: Callable[[Model], None] = lambda model: None  # noqa: ARG005
        self.logs: dict[str, Log] = {}
        self._prepared: dict[int, Run] = {}
        self._lives: dict[int, RunLife] = {}
        self._services = services
        self._run_directories = run_directories
        self._starter = starter
        self._tasks = tasks

    @property
    def is_transferable(self) -> bool:
        """Whether every run is launched. A prepared one, and what is left of a discarded one, cannot be handed over."""
        return self._lives.keys() == self.launched.keys()

    def life(self, number: int) -> RunLife | None:
        """The life of a run, None once nothing of the run is left."""
        return self._lives.get(number)

    def prepare(self, model: Model, number: int) -> None:
        """Begin the start of a run that is launched next, as far as it needs no memory of models."""
        logger.info('Preparing model "%s" (run %d)', model.id, number, extra=event("preparing", model.id))
        self._prepared[number] = self._create(model, number)
        self._lives[number].prepare(self._tasks)

    def discard(self, number: int) -> None:
        """Remove everything of a prepared run."""
        run = self._prepared.pop(number)
        logger.info('Discarding the preparation of model "%s"', run.model.id)
        self._tasks.start(self._lives[number].discard(), f"{run.model.id} run {number}")

    def launch(self, model: Model, number: int) -> None:
        """Launch a run, which may have been prepared."""
        run = self._prepared.pop(number, None) or self._create(model, number)
        self._add(run)
        self.on_launch(model)
        logger.info('Starting model "%s" (run %d)', model.id, number, extra=event("starting", model.id))
        self._tasks.start(self._lives[number].launch(), f"{run.model.id} run {number}")

    def resume(self, model: Model, snapshot: RunSnapshot) -> None:
        """Take over a run from the previous program. `follow` must follow. Raises LaunchError if that fails."""
        self._add(self._create(model, snapshot.number, snapshot))

    def follow(self, number: int) -> None:
        """Follow a resumed run to its end."""
        run = self.launched[number]
        self._tasks.start(self._lives[number].follow(), f"{run.model.id} run {number}")

    def kill_all(self) -> None:
        """Kill every engine now, even if it is in use."""
        for run in (*self.launched.values(), *self._prepared.values()):
            run.kill()

    def _create(self, model: Model, number: int, snapshot: RunSnapshot | None = None) -> Run:
        learning = self._services.learning
        run = Run(
            model,
            number,
            self._services.catalogue(),
            run_directories=self._run_directories,
            starter=self._starter,
            allowance=(learning.allowance(model), learning.total),
            snapshot=snapshot,
        )
        self._lives[number] = RunLife(run, self._services, self._forget)
        return run

    def _add(self, run: Run) -> None:
        self.launched[run.number] = run
        self.logs[run.model.id] = run.log

    def _forget(self, run: Run) -> None:
        self.launched.pop(run.number, None)  # a discarded one was never launched
        del self._lives[run.number]
        run.gone.set()
