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
from sparkd.learning import Learning
from sparkd.lease import Lease
from sparkd.machine.cgroups import Cgroups
from sparkd.machine.journal import event
from sparkd.machine.log import Log
from sparkd.machine.page_cache import weights_of
from sparkd.machine.places import Places
from sparkd.reporting import Reporting
from sparkd.run import Run
from sparkd.scheduling.actions import Action, Grant, Kill, Launch, Refuse, Terminate
from sparkd.scheduling.books import NEVER
from sparkd.scheduling.lifecycle import State
from sparkd.scheduling.plan import Plan, plan
from sparkd.scheduling.scheduler import Scheduler
from sparkd.scheduling.status import Status
from sparkd.terms import Terms
from sparkd.watch import Look, Watch

journal = logging.getLogger("sparkd.supervisor")


class Supervisor:
    """Runs the models of one catalogue. Lives on one event loop, from `open` to `shut_down`."""

    def __init__(
        self,
        catalogue: Catalogue,
        scheduler: Scheduler,
        *,
        places: Places,
        cgroups: Cgroups | None,
        watch: Watch,
        learning: Learning,
    ) -> None:
        self.catalogue = catalogue
        self.listen: tuple[str, ...] = ()
        self._scheduler = scheduler
        self._places = places
        self._cgroups = cgroups
        self._watch = watch
        self._learning = learning
        self._granted: dict[int, asyncio.Future[Run]] = {}
        self._runs: dict[int, Run] = {}
        self._reporting = Reporting(scheduler, self._runs, learning)
        self._logs: dict[str, Log] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = NEVER
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
        self._carry_out(actions)
        return ticket, granted

    def leave(self, ticket: int) -> None:
        """Give back a granted ticket, or give up a waiting one. One that was refused is out of the books already."""
        if self._granted.pop(ticket, None) is not None:
            self._carry_out(self._scheduler.on_leave(ticket, time.monotonic()))

    # For the operator --------------------------------------------------------------------------------------

    async def load(self, model: Model) -> None:
        """Have the model made ready as if somebody had asked for it. Raises Refusal."""
        async with self.lease(model):
            pass

    async def stop(self, model: Model) -> None:
        """Drain and stop the model; return once nothing of it is left."""
        self._carry_out(self._scheduler.on_stop(model.id, time.monotonic()))
        entry = self._scheduler.entry(model.id)
        run = self._runs.get(entry.run) if entry else None
        if run is not None:
            await run.gone.wait()

    def retry(self, model: Model) -> None:
        """Forget the model's failures: it may be launched again at once."""
        self._learning.release(model)
        self._carry_out(self._scheduler.on_retry(model.id, time.monotonic()))

    def log(self, model: Model) -> Log | None:
        """Output of the model's present or last process, None if it had none since sparkd started."""
        return self._logs.get(model.id)

    def plan(self, model: Model) -> Plan:
        """What would happen if somebody asked for the model now. Nothing does."""
        return plan(self._scheduler, model.id, time.monotonic(), self._learning.load_time)

    def status(self) -> Status:
        """Everything an operator may want to see, as of now."""
        return self._reporting.status(self.catalogue, self.listen)

    def serve(self, catalogue: Catalogue, restart: Container[str], terms: Terms) -> None:
        """Go by a catalogue that was read again. The ids in `restart` run in a way that it says otherwise now."""
        self.catalogue = catalogue
        for run in self._runs.values():
            if model := catalogue.models.get(run.model.id):
                run.weigh(model.cpu_weight)
        now = time.monotonic()
        self._carry_out(
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
        self._watch.stop_waiting()
        self._carry_out(self._scheduler.on_shutdown(time.monotonic()))
        while self._tasks:
            await asyncio.wait(self._tasks)
        if self._timer:
            self._timer.cancel()
        self._learning.close()

    def abort(self) -> None:
        """End every process now, whoever uses it."""
        for run in self._runs.values():
            run.kill()

    # Effects -----------------------------------------------------------------------------------------------

    def _carry_out(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Grant(ticket, _, number):
                    # A waiter that was cancelled just now has not run yet: it will give the ticket back.
                    if not (granted := self._granted[ticket]).cancelled():
                        granted.set_result(self._runs[number])
                case Refuse(ticket, error):
                    if not (granted := self._granted.pop(ticket)).cancelled():
                        granted.set_exception(error)
                        granted.exception()  # seen, even if the client leaves: no "never retrieved" later
                case Launch(model_id, number):
                    self._launch(self.catalogue.models[model_id], number)
                case Kill(model_id, number, told):
                    self._runs[number].kill()  # first: every millisecond counts
                    journal.error(
                        "%s: ended by the memory guard: %s", model_id, told, extra=event("guard", model_id)
                    )
                    self._note_guard_kill(model_id)
                case Terminate(model_id, number, reason):
                    journal.info("%s: stopping: %s", model_id, reason, extra=event("stopping", model_id))
                    self._runs[number].terminate()
        self._arm()

    def _launch(self, model: Model, number: int) -> None:
        allowance = self._learning.allowance(model), self._learning.total
        places, cgroups = self._places, self._cgroups
        run = Run(model, number, self.catalogue, places=places, cgroups=cgroups, allowance=allowance)
        self._runs[number] = run
        self._logs[model.id] = run.log
        journal.info("%s: starting (run %d)", model.id, number, extra=event("starting", model.id))
        task = asyncio.create_task(self._live(run), name=f"{model.id} run {number}")
        self._tasks.add(task)
        task.add_done_callback(self.finished)

    async def _live(self, run: Run) -> None:
        """The life of one run, each step told to the scheduler."""
        model_id, number, scheduler = run.model.id, run.number, self._scheduler
        await self._learning.begin(run.model)
        await self._clear_the_way(run)
        run.launched_with = self._watch.memory.available
        cause = await run.live(
            lambda: self._healthy(run), lambda: self._busy(run), lambda why: self._wedged(run, why)
        )
        self._carry_out(scheduler.on_exited(model_id, number, str(cause), time.monotonic()))
        self._tell_end(model_id)
        self._learning.end(run.model)
        if (past := run.past()) is not None:
            self._learning.add(run.model, past)
        await run.clear()
        timeout = self.catalogue.settings.memory.reclaim_timeout
        if missing := await self._watch.returned(model_id, run.held, run.available, timeout):
            self._learning.leak(scheduler.budget.leaked + missing)
        del self._runs[number]
        run.gone.set()
        self._carry_out(scheduler.on_reclaimed(model_id, number, time.monotonic(), missing=missing))
        journal.debug("%s: nothing of run %d is left", model_id, number)

    def _tell_end(self, model_id: str) -> None:
        entry = self._scheduler.entry(model_id)
        if entry is None or entry.state is not State.BACKOFF:
            journal.info("%s: stopped", model_id, extra=event("stopped", model_id))
        elif entry.quarantined:
            told = "%s: failed %d times in a row: %s In quarantine until `sparkctl retry %s`"
            names = model_id, entry.failures, entry.cause, model_id
            journal.error(told, *names, extra=event("quarantine", model_id))
        else:
            pause = max(0.0, entry.until - time.monotonic())
            told = "%s: failed: %s Not tried again for %.0f seconds"
            journal.error(told, model_id, entry.cause, pause, extra=event("crash", model_id))

    async def watch_memory(self) -> None:
        """Watch the machine's memory until cancelled."""
        await self._watch.run(
            self._on_look, lambda: {number: run.remains for number, run in self._runs.items()}
        )

    def _on_look(self, look: Look) -> float:
        """Take a look at the machine's memory into account; return the seconds until the next one is due."""
        memory, scheduler = look.memory, self._scheduler
        for number, used in look.used.items():
            if run := self._runs.get(number):
                run.measure(used, memory.available)
                self._carry_out(scheduler.on_measured(run.model.id, number, run.held, time.monotonic()))
        leaked = scheduler.budget.leaked
        self._carry_out(scheduler.on_memory(memory.available, memory.least, time.monotonic()))
        if scheduler.budget.leaked != leaked:
            self._learning.leak(scheduler.budget.leaked)
        starting = any(entry.state is State.STARTING for entry in scheduler.entries())
        return scheduler.guard.pause(starting=starting)

    def _note_guard_kill(self, model_id: str) -> None:
        self._learning.guard_acted(model_id)
        entry = self._scheduler.entry(model_id)
        if entry is not None and entry.state is State.BACKOFF:  # else it was on its way out anyway
            self._learning.guard_killed(entry.model, entry.cause if entry.quarantined else None)

    async def _clear_the_way(self, run: Run) -> None:
        """Have page cache released that the GPU would take for used memory."""
        running = {other.model.id for other in self._runs.values()}
        others = [model for model in self.catalogue.models.values() if model.id not in running]
        folder = self.catalogue.folder("models")
        entry = self._scheduler.entry(run.model.id)
        await self._watch.clear_the_way(
            (entry.footprint if entry else 0) + self._scheduler.guard.floor,
            [place for model in others if (place := weights_of(model.source, folder))],
            drop=self.catalogue.settings.memory.drop_caches,
        )

    def _healthy(self, run: Run) -> None:
        self._carry_out(self._scheduler.on_healthy(run.model.id, run.number, time.monotonic()))
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
        self._carry_out(self._scheduler.on_wedged(run.model.id, run.number, cause, now))

    def finished(self, task: asyncio.Task[None]) -> None:
        """Note that a task of ours has ended; that it failed is a bug, and `broken` tells."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) and not self.broken.done():
            journal.critical("%s: bug in sparkd", task.get_name(), exc_info=error)
            self.broken.set_exception(error)

    # The clock ---------------------------------------------------------------------------------------------

    def _arm(self) -> None:
        """Be woken at the next deadline. A timer that is due earlier stays: it will find nothing and re-arm."""
        deadline = self._scheduler.deadline
        if deadline >= self._timer_at:
            return
        if self._timer:
            self._timer.cancel()
        self._timer_at = deadline
        delay = max(0.0, deadline - time.monotonic())
        self._timer = asyncio.get_running_loop().call_later(delay, self._tick)

    def _tick(self) -> None:
        self._timer, self._timer_at = None, NEVER
        self._carry_out(self._scheduler.on_tick(time.monotonic()))
