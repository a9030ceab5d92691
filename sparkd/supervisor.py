"""The supervisor: carries out what the scheduler decides, and lends out ready models.

The only place where decisions become effects. Its methods that touch the books are ordinary functions, so each
event is atomic on the event loop: no locks, no "already starting" flags.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from types import TracebackType

from sparkd import __version__
from sparkd.catalog import Catalogue
from sparkd.catalog.definitions import GIB, Model
from sparkd.machine.cgroups import Cgroups
from sparkd.machine.log import Log
from sparkd.machine.page_cache import drop_all, release, weights_of
from sparkd.machine.places import Places
from sparkd.machine.upstream import Upstream
from sparkd.run import Run
from sparkd.scheduling.actions import Action, Grant, Kill, Launch, Refuse, Terminate
from sparkd.scheduling.books import NEVER, Entry
from sparkd.scheduling.lifecycle import State
from sparkd.scheduling.scheduler import Scheduler
from sparkd.scheduling.status import MemoryStatus, ModelStatus, QueueStatus, Status, model_status
from sparkd.watch import Look, Watch

journal = logging.getLogger("sparkd.supervisor")


class Lease:
    """The right to use a model: it is neither stopped nor evicted for another while the lease is held.

    `async with supervisor.lease(model) as lease:` waits until the model is ready, raises Refusal if it will not
    be, and leaves the queue if the waiting task is cancelled.
    """

    __slots__ = ("_supervisor", "_ticket", "model", "run", "upstream")

    upstream: Upstream
    run: int

    def __init__(self, supervisor: Supervisor, model: Model) -> None:
        self._supervisor = supervisor
        self._ticket = 0
        self.model = model

    async def __aenter__(self) -> Lease:
        self._ticket, granted = self._supervisor.request(self.model)
        if not granted.done():
            try:
                await granted
            except asyncio.CancelledError:
                self._supervisor.leave(self._ticket)
                raise
        run = granted.result()
        self.upstream, self.run = run.upstream, run.number
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._supervisor.leave(self._ticket)


class Supervisor:
    """Runs the models of one catalogue. Lives on one event loop, from `open` to `shut_down`."""

    def __init__(
        self,
        catalogue: Catalogue,
        scheduler: Scheduler,
        places: Places,
        cgroups: Cgroups | None,
        watch: Watch,
    ) -> None:
        self.catalogue = catalogue
        self.listen: tuple[str, ...] = ()
        self._scheduler = scheduler
        self._places = places
        self._cgroups = cgroups
        self._watch = watch
        self._started = time.monotonic()
        self._granted: dict[int, asyncio.Future[Run]] = {}
        self._runs: dict[int, Run] = {}
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
        """Write a request into the books; return its ticket, and its run as soon as that is ready."""
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
        self._carry_out(self._scheduler.on_retry(model.id, time.monotonic()))

    def log(self, model: Model) -> Log | None:
        """Output of the model's present or last process, None if it had none since sparkd started."""
        return self._logs.get(model.id)

    def status(self) -> Status:
        """Everything an operator may want to see, as of now."""
        scheduler, queue = self._scheduler, self.catalogue.settings.queue
        return Status(
            version=__version__,
            pid=os.getpid(),
            uptime=time.monotonic() - self._started,
            listen=self.listen,
            memory=MemoryStatus(
                total=scheduler.budget.total,
                reserve=scheduler.budget.reserve,
                budget=scheduler.budget.bytes,
                reserved=scheduler.reserved,
                floor=scheduler.guard.floor,
                available=scheduler.available,
                leaked=scheduler.budget.leaked,
            ),
            queue=QueueStatus(waiting=scheduler.waiting, max_length=queue.max_length, on_busy=queue.on_busy),
            models=tuple(map(self._model_status, self.catalogue.models.values())),
        )

    async def shut_down(self) -> None:
        """Refuse who waits, drain who is served, stop everything; return once nothing is left."""
        self._watch.stop_waiting()
        self._carry_out(self._scheduler.on_shutdown(time.monotonic()))
        while self._tasks:
            await asyncio.wait(self._tasks)
        if self._timer:
            self._timer.cancel()

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
                    journal.error("%s: ended by the memory guard: %s", model_id, told)
                case Terminate(model_id, number, reason):
                    journal.info("%s: stopping: %s", model_id, reason)
                    self._runs[number].terminate()
        self._arm()

    def _launch(self, model: Model, number: int) -> None:
        run = Run(model, number, self.catalogue, self._places, self._cgroups)
        self._runs[number] = run
        self._logs[model.id] = run.log
        journal.info("%s: starting (run %d)", model.id, number)
        task = asyncio.create_task(self._live(run), name=f"{model.id} run {number}")
        self._tasks.add(task)
        task.add_done_callback(self.finished)

    async def _live(self, run: Run) -> None:
        """The life of one run, each step told to the scheduler."""
        model_id, number, scheduler = run.model.id, run.number, self._scheduler
        await self._clear_the_way(run)
        cause = await run.live(lambda: self._healthy(run))
        self._carry_out(scheduler.on_exited(model_id, number, str(cause), time.monotonic()))
        self._tell_end(model_id)
        await run.clear()
        missing = await self._reclaim(run)
        del self._runs[number]
        run.gone.set()
        self._carry_out(scheduler.on_reclaimed(model_id, number, time.monotonic(), missing=missing))
        journal.debug("%s: nothing of run %d is left", model_id, number)

    def _tell_end(self, model_id: str) -> None:
        entry = self._scheduler.entry(model_id)
        if entry is None or entry.state is not State.BACKOFF:
            journal.info("%s: stopped", model_id)
        elif entry.quarantined:
            journal.error(
                "%s: failed %d times in a row: %s In quarantine until `sparkctl retry %s`",
                *(model_id, entry.failures, entry.cause, model_id),
            )
        else:
            pause = max(0.0, entry.until - time.monotonic())
            journal.error("%s: failed: %s Not tried again for %.0f seconds", model_id, entry.cause, pause)

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
        self._carry_out(scheduler.on_memory(memory.available, memory.least, time.monotonic()))
        starting = any(entry.state is State.STARTING for entry in scheduler.entries())
        return scheduler.guard.pause(starting=starting)

    async def _clear_the_way(self, run: Run) -> None:
        """Release page cache where the GPU would take it for used memory and there is not enough beside it."""
        memory, entry = self._watch.memory, self._scheduler.entry(run.model.id)
        if memory.kind != "unified" or entry is None:
            return
        if memory.free >= entry.footprint + self._scheduler.guard.floor:
            return
        folder, running = self.catalogue.folder("models"), {run.model.id for run in self._runs.values()}
        others = [model for model in self.catalogue.models.values() if model.id not in running]
        weights = [place for model in others if (place := weights_of(model.source, folder))]
        released = await asyncio.to_thread(release, weights)
        journal.info(
            "%s: %.1f GiB of other models' files released from the page cache", run.model.id, released / GIB
        )
        if self.catalogue.settings.memory.drop_caches and not await asyncio.to_thread(drop_all):
            journal.warning("the page cache cannot be dropped: memory.drop_caches needs root")

    async def _reclaim(self, run: Run) -> int:
        """Wait until the run's memory is back; return what is missing of it, in bytes."""
        timeout = self.catalogue.settings.memory.reclaim_timeout
        missing = await self._watch.returned(run.held, run.available, timeout)
        if missing:
            journal.warning(
                "%s: %.1f GiB of its memory have not come back in %.0f seconds: they count as leaked",
                *(run.model.id, missing / GIB, timeout),
            )
        return missing

    def _healthy(self, run: Run) -> None:
        self._carry_out(self._scheduler.on_healthy(run.model.id, run.number, time.monotonic()))
        entry = self._scheduler.entry(run.model.id)
        if entry is not None:
            journal.info("%s: ready after %.1f seconds", run.model.id, entry.load_time)

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

    def _model_status(self, model: Model) -> ModelStatus:
        scheduler = self._scheduler
        entry = scheduler.entry(model.id) or Entry(model, *scheduler.footprint(model), since=self._started)
        run = self._runs.get(entry.run)
        return model_status(
            entry, time.monotonic(), pid=run.pid if run else None, milestone=run.milestone if run else None
        )
