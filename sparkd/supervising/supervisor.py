"""The supervisor: carries out what the scheduler decides, and lends out ready models.

The only place where decisions become effects. Its methods that touch the books are ordinary functions, so each
event is atomic on the event loop: no locks, no "already starting" flags.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Container

from sparkd.catalog import Catalogue
from sparkd.catalog.definitions import Model
from sparkd.journal.handler import event
from sparkd.learning.learning import Learning
from sparkd.processes.cgroups import Cgroups
from sparkd.processes.log import Log
from sparkd.processes.places import Places
from sparkd.scheduling.actions import Action, Grant, Kill, Launch, Refuse, Terminate
from sparkd.scheduling.lifecycle import State
from sparkd.scheduling.plan import Plan, plan
from sparkd.scheduling.scheduler import Scheduler
from sparkd.scheduling.status import Status
from sparkd.supervising.alarm import Alarm
from sparkd.supervising.downloads import Downloads
from sparkd.supervising.lease import Lease
from sparkd.supervising.memory_watch import Look, Watch, idle_weights
from sparkd.supervising.reporting import Reporting, tell_end
from sparkd.supervising.run import HeldRun, Run
from sparkd.supervising.terms import Terms

journal = logging.getLogger("sparkd.supervising.supervisor")


class Supervisor:
    """Runs the models of one catalogue. Lives on one event loop, until `shut_down`.

    `runs` are those of which something is left, by number; `logs` the last log of each model. `started` is when this
    service was (steady clock, seconds), by itself or by an earlier sparkd, of which there were `replaced`.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        scheduler: Scheduler,
        *,
        places: Places,
        cgroups: Cgroups | None,
        watch: Watch,
        learning: Learning,
        downloads: Downloads,
        started: float = 0.0,
        replaced: int = 0,
    ) -> None:
        self.catalogue = catalogue
        self.downloads = downloads
        self.started = started or time.monotonic()
        self.replaced = replaced
        self.replacing = False
        self.listen: tuple[str, ...] = ()
        self._scheduler = scheduler
        self._places = places
        self._cgroups = cgroups
        self._watch = watch
        self._learning = learning
        self._granted: dict[int, asyncio.Future[Run]] = {}
        self.runs: dict[int, Run] = {}
        self._reporting = Reporting(scheduler, self.runs, learning, downloads, self.started, replaced)
        self.logs: dict[str, Log] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._alarm = Alarm(self._tick)
        self.broken: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        """Fails when a task of ours does: a bug, after which the books cannot be trusted."""

    # For clients -------------------------------------------------------------------------------------------

    def lease(self, model: Model) -> Lease:
        """Return a lease to enter with `async with`."""
        return Lease(self, model)

    def request(self, model: Model) -> tuple[int, asyncio.Future[Run]]:
        """Write a request into the books; return its ticket, and its run as soon as that is ready.

        Raises ModelNotFound and ModelDisabled where the catalogue has meanwhile changed its mind.
        """
        if self.catalogue.models.get(model.id) is not model:
            model = self.catalogue.find(model.id)  # it was found before the catalogue was read again
        ticket, actions = self._scheduler.on_request(model.id, time.monotonic())
        granted: asyncio.Future[Run] = asyncio.get_running_loop().create_future()
        self._granted[ticket] = granted
        self.carry_out(actions)
        return ticket, granted

    def leave(self, ticket: int) -> None:
        """Give back a granted ticket, or give up a waiting one. One that was refused is out of the books already."""
        if self._granted.pop(ticket, None) is not None:
            self.carry_out(self._scheduler.on_leave(ticket, time.monotonic()))

    # For the operator --------------------------------------------------------------------------------------

    async def load(self, model: Model) -> None:
        """Have the model made ready as if somebody had asked for it. Raises Refusal."""
        async with self.lease(model):
            pass

    async def stop(self, model: Model) -> None:
        """Drain and stop the model; return once nothing of it is left."""
        self.downloads.stop(model)
        self.carry_out(self._scheduler.on_stop(model.id, time.monotonic()))
        entry = self._scheduler.entry(model.id)
        run = self.runs.get(entry.run) if entry else None
        if run is not None:
            await run.gone.wait()

    def retry(self, model: Model) -> None:
        """Forget the model's failures: it may be launched again at once."""
        self._learning.release(model)
        self.carry_out(self._scheduler.on_retry(model.id, time.monotonic()))

    def log(self, model: Model) -> Log | None:
        """Output of the model's present or last process, None if it had none since sparkd started."""
        return self.logs.get(model.id)

    def plan(self, model: Model) -> Plan:
        """What would happen if somebody asked for the model now. Nothing does."""
        return plan(self._scheduler, model.id, time.monotonic(), self._learning.load_time)

    def status(self) -> Status:
        """Everything an operator may want to see, as of now."""
        return self._reporting.status(self.catalogue, self.listen, replacing=self.replacing)

    def serve(self, catalogue: Catalogue, restart: Container[str], terms: Terms) -> None:
        """Go by a catalogue that was read again. The ids in `restart` run in a way that it says otherwise now."""
        self.catalogue = self.downloads.catalogue = catalogue
        for run in self.runs.values():
            if model := catalogue.models.get(run.model.id):
                run.weigh(model.cpu_weight)
        now = time.monotonic()
        self.carry_out(
            self._scheduler.on_catalogue(
                catalogue.models,
                restart,
                now,
                budget=terms.budget,
                footprint=terms.footprint,
                settings=catalogue.settings,
            )
        )

    async def shut_down(self) -> None:
        """Refuse who waits, drain who is served, stop everything; return once nothing is left."""
        await self.downloads.close()
        self._watch.stop_waiting()
        self.carry_out(self._scheduler.on_shutdown(time.monotonic()))
        while self._tasks:
            await asyncio.wait(self._tasks)
        self._alarm.stop()
        self._learning.close()

    def abort(self) -> None:
        """End every process now, whoever uses it."""
        for run in self.runs.values():
            run.kill()

    # Effects -----------------------------------------------------------------------------------------------

    def make_run(self, model: Model, number: int, held: HeldRun | None = None) -> Run:
        """A run of the model, or the one that an earlier sparkd has passed on. Raises LaunchError for such a one."""
        run = Run(
            model,
            number,
            self.catalogue,
            places=self._places,
            cgroups=self._cgroups,
            allowance=(self._learning.allowance(model), self._learning.total),
            held=held,
        )
        self.runs[number] = run
        self.logs[model.id] = run.log
        return run

    def carry_out(self, actions: list[Action]) -> None:
        """Do what the scheduler wants done."""
        for action in actions:
            match action:
                case Grant(ticket, _, number):
                    # A waiter that was cancelled just now has not run yet: it will give the ticket back.
                    if not (granted := self._granted[ticket]).cancelled():
                        granted.set_result(self.runs[number])
                case Refuse(ticket, error):
                    if not (granted := self._granted.pop(ticket)).cancelled():
                        granted.set_exception(error)
                        granted.exception()  # seen, even if the client leaves: no "never retrieved" later
                case Launch(model_id, number):
                    self._launch(self.catalogue.models[model_id], number)
                case Kill(model_id, number, told):
                    self.runs[number].kill()  # first: every millisecond counts
                    journal.error(
                        "%s: ended by the memory guard: %s", model_id, told, extra=event("guard", model_id)
                    )
                    self._note_guard_kill(self.runs[number])
                case Terminate(model_id, number, reason):
                    journal.info("%s: stopping: %s", model_id, reason, extra=event("stopping", model_id))
                    self.runs[number].terminate()
        self._alarm.set(self._scheduler.deadline)

    def _launch(self, model: Model, number: int) -> None:
        run = self.make_run(model, number)
        journal.info("%s: starting (run %d)", model.id, number, extra=event("starting", model.id))
        self.attend(run, launch=True)

    def attend(self, run: Run, *, launch: bool = False) -> None:
        """Launch the run and watch over it, or only that where an earlier sparkd has launched it."""
        life = self._live(run) if launch else self._watch_over(run)
        task = asyncio.create_task(life, name=f"{run.model.id} run {run.number}")
        self._tasks.add(task)
        task.add_done_callback(self.finished)

    async def _live(self, run: Run) -> None:
        run.key = await self._learning.begin(run.model)
        await self._clear_the_way(run)
        run.launched_with = self._watch.memory.available
        await self._watch_over(run)

    async def _watch_over(self, run: Run) -> None:
        """The life of a launched run, each step told to the scheduler."""
        model_id, number, scheduler = run.model.id, run.number, self._scheduler
        cause = await run.live(
            lambda: self._healthy(run), lambda: self._busy(run), lambda why: self._wedged(run, why)
        )
        self.carry_out(scheduler.on_exited(model_id, number, str(cause), time.monotonic()))
        tell_end(model_id, scheduler.entry(model_id))
        self.downloads.forget(model_id)
        self._learning.end(run.model)
        if (past := run.past()) is not None:
            self._learning.add(run.model, run.key, past)
        await run.clear()
        timeout = self.catalogue.settings.memory.reclaim_timeout
        if missing := await self._watch.returned(model_id, run.held, run.available, timeout):
            self._learning.leak(scheduler.budget.leaked + missing)
        del self.runs[number]
        run.gone.set()
        self.carry_out(scheduler.on_reclaimed(model_id, number, time.monotonic(), missing=missing))
        journal.debug("%s: nothing of run %d is left", model_id, number)

    async def watch_memory(self) -> None:
        """Watch the machine's memory until cancelled."""
        await self._watch.run(
            self._on_look, lambda: {number: run.remains for number, run in self.runs.items()}
        )

    def _on_look(self, look: Look) -> float:
        """Take a look at the machine's memory into account; return the seconds until the next one is due."""
        memory, scheduler = look.memory, self._scheduler
        for number, used in look.used.items():
            if run := self.runs.get(number):
                run.measure(used, memory.available)
                self.carry_out(scheduler.on_measured(run.model.id, number, run.held, time.monotonic()))
        leaked = scheduler.budget.leaked
        self.carry_out(scheduler.on_memory(memory.available, memory.least, time.monotonic()))
        if scheduler.budget.leaked != leaked:
            self._learning.leak(scheduler.budget.leaked)
        starting = any(entry.state is State.STARTING for entry in scheduler.entries())
        return scheduler.guard.pause(starting=starting)

    def _note_guard_kill(self, run: Run) -> None:
        self._learning.guard_acted(run.model.id)
        entry = self._scheduler.entry(run.model.id)
        if entry is not None and entry.state is State.BACKOFF:  # else it was on its way out anyway
            self._learning.guard_killed(run.model, run.key, entry.cause if entry.quarantined else None)

    async def _clear_the_way(self, run: Run) -> None:
        """Have page cache released that the GPU would take for used memory."""
        entry = self._scheduler.entry(run.model.id)
        await self._watch.clear_the_way(
            (entry.footprint if entry else 0) + self._scheduler.guard.floor,
            idle_weights(self.catalogue, {other.model.id for other in self.runs.values()}),
            drop=self.catalogue.settings.memory.drop_caches,
        )

    def _healthy(self, run: Run) -> None:
        self.carry_out(self._scheduler.on_healthy(run.model.id, run.number, time.monotonic()))
        entry = self._scheduler.entry(run.model.id)
        self._learning.end(run.model)
        if entry is not None:
            run.ready_after(entry.load_time, self._watch.memory)
            took = event("ready", run.model.id, DURATION_MS=round(entry.load_time * 1000))
            journal.info("%s: ready after %.1f seconds", run.model.id, entry.load_time, extra=took)

    def _busy(self, run: Run) -> bool:
        entry = self._scheduler.entry(run.model.id)
        return entry is not None and entry.run == run.number and bool(entry.leases)

    def _wedged(self, run: Run, cause: str) -> None:
        journal.error("%s: %s", run.model.id, cause, extra=event("wedged", run.model.id))
        now = time.monotonic()
        self.carry_out(self._scheduler.on_wedged(run.model.id, run.number, cause, now))

    def finished(self, task: asyncio.Task[None]) -> None:
        """Note that a task of ours has ended; that it failed is a bug, and `broken` tells."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) and not self.broken.done():
            journal.critical("%s: bug in sparkd", task.get_name(), exc_info=error)
            self.broken.set_exception(error)

    def _tick(self) -> None:
        self.carry_out(self._scheduler.on_tick(time.monotonic()))
