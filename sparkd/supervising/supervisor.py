"""The supervisor: carries out the scheduler's decisions and grants leases for ready models.

Decisions have effects only here. Methods that use the ledger are not coroutines, so each event is atomic on the event
loop. This needs no locks and no "already starting" flags.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Container
from contextlib import suppress

from sparkd.catalog import Catalogue
from sparkd.catalog.definitions import Model
from sparkd.errors import LaunchError, SparkdError
from sparkd.journal.handler import event
from sparkd.learning.learning import Learning
from sparkd.processes.log import Log
from sparkd.processes.run_directories import RunDirectories
from sparkd.scheduling.actions import (
    Action,
    Discard,
    EndLaunchers,
    Grant,
    Kill,
    Launch,
    Prepare,
    Refuse,
    Terminate,
)
from sparkd.scheduling.claim import PLAIN_CLAIM, Claim
from sparkd.scheduling.forecast import Forecast
from sparkd.scheduling.lifecycle import Residency, State, residency
from sparkd.scheduling.model_state import ModelState
from sparkd.scheduling.plan import Plan
from sparkd.scheduling.scheduler import Scheduler
from sparkd.scheduling.status import ALL_MODELS, ModelChoice, Status
from sparkd.supervising.alarm import Alarm
from sparkd.supervising.crash_watch import CrashWatch
from sparkd.supervising.disk_looks import DiskLooks
from sparkd.supervising.downloads import Downloads
from sparkd.supervising.forecasts import Forecasts
from sparkd.supervising.hold_book import HoldBook
from sparkd.supervising.launching import launcher_spec
from sparkd.supervising.lease import Lease
from sparkd.supervising.memory_policy import MemoryPolicy
from sparkd.supervising.memory_watch import MemoryWatch
from sparkd.supervising.preloading import PreloadCheck
from sparkd.supervising.reporting import StatusReporter
from sparkd.supervising.resource_watch import ResourceWatch
from sparkd.supervising.run import Run
from sparkd.supervising.run_life import RunServices
from sparkd.supervising.runs import Runs
from sparkd.supervising.starting import EngineStarter
from sparkd.supervising.tasks import Tasks
from sparkd.supervising.tickets import Tickets
from sparkd.upstream.client import EngineRequest, Upstream

logger = logging.getLogger(__name__)


class Supervisor:
    """Runs the models of one catalogue. Belongs to one event loop, until `shut_down`.

    `started` is when this daemon, or the first of those it replaced, started (steady clock, seconds). `replacements`
    counts those.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        scheduler: Scheduler,
        *,
        run_directories: RunDirectories,
        starter: EngineStarter,
        watch: MemoryWatch,
        learning: Learning,
        downloads: Downloads,
        tasks: Tasks,
        started: float = 0.0,
        replacements: int = 0,
    ) -> None:
        self.catalogue = catalogue
        self.downloads = downloads
        self.started = started or time.monotonic()
        self.replacements = replacements
        self.replacing = False
        self.listen: tuple[str, ...] = ()
        self.tasks = tasks
        launchers = self.launchers = starter.launchers
        crashes = self.crashes = CrashWatch(lambda: self.catalogue.settings)
        self._tickets = Tickets()
        self._disk_looks = DiskLooks()
        services = RunServices(
            lambda: self.catalogue,
            scheduler,
            watch,
            learning,
            downloads,
            self.carry_out,
            crashes,
            self._tickets.requests_of,
        )
        self.runs = Runs(services, run_directories=run_directories, starter=starter, tasks=tasks)
        self._scheduler = scheduler
        self._watch = watch
        self._learning = learning
        self.resources = ResourceWatch(
            scheduler, self.runs, watch, learning, launchers, services.catalogue, self.carry_out
        )
        can_prepare = self.resources.can_prepare
        self.forecasts = Forecasts(scheduler, self.runs.launched, learning, downloads, can_prepare)
        self._alarm = Alarm(self._on_tick)
        self.holds = HoldBook(self, scheduler, catalogue.folder("state") / "holds.json", tasks.watch)
        self._preload_check = PreloadCheck(downloads, tasks, self._on_tick)
        self._reporter = StatusReporter(
            scheduler,
            self.runs.launched,
            learning,
            downloads,
            launchers,
            crashes,
            self.forecasts,
            self.started,
            replacements,
        )

    # For clients

    def lease(self, model: Model, request: EngineRequest | None = None, claim: Claim = PLAIN_CLAIM) -> Lease:
        """Return a lease to enter with `async with`. `request` is what it is for, unless the owner wants it."""
        return Lease(self, model, request, claim)

    def residency(self, model: Model) -> Residency:
        """Whether the model is loaded now."""
        entry = self._scheduler.entry(model.id)
        return "unloaded" if entry is None else residency(entry.state)

    def can_start_without_eviction(self, model: Model) -> bool:
        """Whether a background request for the model would be served without the eviction of another one."""
        return self._scheduler.has_model(model.id) and self._scheduler.can_start_without_eviction(model.id)

    def can_load(self, model: Model) -> bool:
        """Whether a request could load the model: it is on disk, has not failed, and fits beside what must stay."""
        if not (self._scheduler.has_model(model.id) and self._scheduler.can_load(model.id, time.monotonic())):
            return False
        is_on_disk = self.downloads.is_on_disk(model)
        return is_on_disk or self._disk_looks.is_complete(model, self.catalogue.folder("models"))

    def state(self, model: Model) -> ModelState:
        """Return the model's state as clients see it, with the progress of a load or download."""
        return self.forecasts.state(model)

    def forecast(self, model: Model) -> Forecast:
        """Return how long a request for the model would wait that arrived now."""
        return self.forecasts.of_request(model)

    def ready_upstream(self, model: Model) -> Upstream | None:
        """Return the client of the model's engine, None unless the model is ready.

        This is not a lease: the model may be evicted meanwhile, and it stays as idle as it was.
        """
        entry = self._scheduler.entry(model.id)
        is_ready = entry is not None and entry.state is State.READY
        return self.runs.launched[entry.run].upstream if entry and is_ready else None

    def request(
        self, model: Model, request: EngineRequest | None, claim: Claim
    ) -> tuple[int, asyncio.Future[Run]]:
        """Queue a request for the model; return its ticket, and a future of its run.

        Raises ModelNotFound or ModelDisabled if a reload has removed or disabled the model meanwhile.
        """
        if self.catalogue.models.get(model.id) is not model:
            model = self.catalogue.find(model.id)  # it was looked up before the catalogue was reloaded
        ticket, actions = self._scheduler.on_request(model.id, time.monotonic(), claim)
        granted = self._tickets.add(ticket, request)
        self.carry_out(actions)
        if not granted.done():
            self._want_launcher_for_first(model)
        return ticket, granted

    def release(self, ticket: int) -> None:
        """Return a granted ticket, or cancel a waiting one. A rejected one has already left the queue."""
        if self._tickets.remove(ticket):
            self.carry_out(self._scheduler.on_leave(ticket, time.monotonic()))

    def _want_launcher_for_first(self, model: Model) -> None:
        """Start the launcher of the model's runtime for the first one of the requests that wait for the model."""
        if (entry := self._scheduler.entry(model.id)) and len(entry.waiting) == 1:
            self.resources.want_launcher(model)

    # For the owner

    async def load(self, model: Model) -> None:
        """Load the model as if a client had requested it. Raises Refusal."""
        async with self.lease(model):
            pass

    def begin_load(self, model: Model, claim: Claim = PLAIN_CLAIM) -> None:
        """Load the model as if a client had requested it, and do not wait for it. A failure is in its status."""
        self.tasks.start(self._load_quietly(self.lease(model, None, claim)), f"load of {model.id}")

    async def _load_quietly(self, lease: Lease) -> None:
        with suppress(SparkdError):
            async with lease:
                pass

    def unload(self, model: Model) -> None:
        """Stop the model, once no request uses it or waits for it. Raises HoldConflict."""
        self.carry_out(self._scheduler.on_unload(model.id, time.monotonic()))

    def begin_preloading(self) -> None:
        """Load held models, and models with `preload`, whenever their memory is free. Call it when sparkd serves."""
        self.holds.restore()
        self.carry_out(self._scheduler.on_serving(self._preload_check.is_on_disk, time.monotonic()))

    async def stop(self, model: Model) -> None:
        """Drain and stop the model; return once nothing of it is left. Raises HoldConflict."""
        self.carry_out(self._scheduler.on_stop(model.id, time.monotonic()))
        self.downloads.stop(model)
        entry = self._scheduler.entry(model.id)
        run = self.runs.launched.get(entry.run) if entry else None
        if run is not None:
            await run.gone.wait()

    def retry(self, model: Model) -> None:
        """Forget the model's failures: it may be launched again at once, and no request for it is rejected for them."""
        self.crashes.clear(model.id)
        self._learning.clear_quarantine(model)
        with suppress(LaunchError):  # its runtime is not built
            if spec := launcher_spec(model, self.catalogue):
                self.launchers.forget_failures(spec)
        self.carry_out(self._scheduler.on_retry(model.id, time.monotonic()))

    def log(self, model: Model) -> Log | None:
        """Return the output of the model's current or last process. None if it had none since sparkd started."""
        return self.runs.logs.get(model.id)

    def plan(self, model: Model) -> Plan:
        """Return what would happen if a client requested the model now."""
        return self.forecasts.plan(model)

    def status(self, model: ModelChoice = ALL_MODELS) -> Status:
        """Return the current status of the daemon, and of the chosen models."""
        return self._reporter.status(self.catalogue, self.listen, model, replacing=self.replacing)

    def use_catalogue(
        self, catalogue: Catalogue, restart: Container[str], memory_policy: MemoryPolicy
    ) -> None:
        """Use a reloaded catalogue. The models in `restart` must restart, because their command has changed."""
        self.crashes.use_models(self.catalogue.models, catalogue.models, restart)
        self.catalogue = self.downloads.catalogue = catalogue
        for run in self.runs.launched.values():
            if model := catalogue.models.get(run.model.id):
                run.set_cpu_weight(model.cpu_weight)
        self.carry_out(
            self._scheduler.on_catalogue(
                catalogue.models,
                restart,
                time.monotonic(),
                budget=memory_policy.budget,
                footprint=memory_policy.footprint,
                settings=catalogue.settings,
            )
        )

    async def shut_down(self) -> None:
        """Reject waiting requests, finish the others, stop every model; return once nothing is left."""
        self.holds.close()
        await self.downloads.close()
        self._watch.stop_waiting()
        self.carry_out(self._scheduler.on_shutdown(time.monotonic()))
        self.launchers.close()
        await self.tasks.wait()
        self._alarm.stop()
        self._learning.close()

    def abort(self) -> None:
        """Kill every engine now, even if it is in use."""
        self.launchers.close()
        self.runs.kill_all()

    # Carrying out decisions

    def carry_out(self, actions: list[Action]) -> None:
        """Carry out the scheduler's decisions."""
        for action in actions:
            match action:
                case Grant(ticket, _, number):
                    self._tickets.grant(ticket, self.runs.launched[number])
                case Refuse(ticket, error, model_id):
                    self.forecasts.complete(error, model_id)
                    self._tickets.refuse(ticket, error)
                case EndLaunchers():
                    self.launchers.end_all("a model needs their memory")
                case _:
                    self._change_run(action)
        self._alarm.set(self._scheduler.deadline)

    def _change_run(self, action: Prepare | Discard | Launch | Terminate | Kill) -> None:
        """Carry out a decision about the run of a model."""
        match action:
            case Prepare(model_id, number):
                self.runs.prepare(self.catalogue.models[model_id], number)
            case Discard(_, number):
                self.runs.discard(number)
            case Launch(model_id, number):
                self.runs.launch(self.catalogue.models[model_id], number)
            case Kill(_, number, reason):
                if life := self.runs.life(number):
                    life.kill(reason)
            case Terminate(model_id, number, reason):
                logger.info('Stopping model "%s": %s', model_id, reason, extra=event("stopping", model_id))
                self.runs.launched[number].terminate()

    def _on_tick(self) -> None:
        self.carry_out(self._scheduler.on_tick(time.monotonic()))
