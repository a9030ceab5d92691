"""The scheduler: an event goes in, actions come out, without an await in between.

Every `on_*` records the event in the ledger and ends in `_settle`, which makes all decisions. Deadlines are numbers in
the ledger; `on_tick` compares them with `now`. `deadline` is the latest time of the next tick. It may be too early: the
tick then does nothing and sets the next one.

The policy is in decisions.py.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from copy import copy
from dataclasses import replace

from sparkd.catalog.definitions import Model
from sparkd.catalog.settings import Settings
from sparkd.scheduling import refusals
from sparkd.scheduling.actions import Action
from sparkd.scheduling.books import NEVER, Books, Entry
from sparkd.scheduling.decisions import Decisions
from sparkd.scheduling.guard import Guard, Sample, first_to_go
from sparkd.scheduling.held import STEADY, HeldEntry, hold, restore
from sparkd.scheduling.lifecycle import Event, LifecycleError, State
from sparkd.scheduling.memory import Budget, Footprint


class Scheduler(Decisions):
    """Decides for all models. `now` is always in seconds of the caller's monotonic clock."""

    def __init__(
        self,
        models: Mapping[str, Model],
        *,
        budget: Budget,
        footprint: Callable[[Model, Budget], Footprint],
        settings: Settings,
    ) -> None:
        super().__init__(Books(settings.queue.max_wait), budget, footprint, settings)
        self._models = models

    # Events ------------------------------------------------------------------------------------------------

    def on_request(self, model_id: str, now: float) -> tuple[int, list[Action]]:
        """Add a request; return its ticket and the actions, perhaps its grant or refusal."""
        entry = self._entry(model_id)
        ticket = self._books.enqueue(entry, now)
        return ticket.id, self._settle(now, entry)

    def on_leave(self, ticket_id: int, now: float) -> list[Action]:
        """Remove a ticket: its response is complete, or its client disconnected while it waited."""
        if ticket_id in self._books.leases:
            return self._settle(now, self._books.give_back(ticket_id, now))
        self._books.dequeue(ticket_id)
        return self._settle(now)

    def on_healthy(self, model_id: str, run: int, now: float) -> list[Action]:
        """The run's engine responds on its health path."""
        entry = self._running(model_id, run)
        launched = entry.since
        if self._go(entry, Event.HEALTHY, now) is State.READY:
            entry.ready_at = entry.last_used = now
            entry.load_time = now - launched
        return self._settle(now)

    def on_exited(self, model_id: str, run: int, cause: str, now: float) -> list[Action]:
        """The run's process has ended. That is a failure unless sparkd terminated it, whatever its exit code."""
        entry = self._running(model_id, run)
        entry.leases.clear()
        if entry.state in (State.STARTING, State.READY):
            self._fail(entry, cause, now)
        else:
            self._go(entry, Event.EXITED, now)
        return self._settle(now)

    def on_wedged(self, model_id: str, run: int, cause: str, now: float) -> list[Action]:
        """The run's engine makes no progress. A draining one already has a deadline."""
        entry = self._running(model_id, run)
        if entry.state is State.READY:
            self._fail(entry, cause, now)
            self._terminate(entry, "it has stalled")
        return self._settle(now)

    def on_reclaimed(self, model_id: str, run: int, now: float, *, missing: int = 0) -> list[Action]:
        """No process of the run is left, and its memory is free again, except `missing` bytes."""
        entry = self._running(model_id, run)
        entry.process = False
        self.budget = replace(self.budget, leaked=self.budget.leaked + missing)
        if self._go(entry, Event.RECLAIMED, now) is State.STOPPED and entry.ready_at is not None:
            entry.failures = 0
        return self._settle(now)

    def on_memory(self, available: int | None, least: int, now: float) -> list[Action]:
        """Record the machine's available memory, and kill a model if it runs out.

        `available` is what models may still use, None if unknown. `least` is the smaller of that and the host's own
        available memory.
        """
        self.available = available
        self.guard.note(Sample(now, least))
        if available is not None and not any(self._books.residents()):
            # No model uses memory, so what is available is not leaked.
            found = max(0, self.budget.total - self.budget.reserve - available)
            self.budget = replace(self.budget, leaked=min(self.budget.leaked, found))
        if self.guard.due and (victim := first_to_go(self._books.residents())):
            self._kill(victim, now)
        return self._settle(now)

    def on_measured(self, model_id: str, run: int, held: int, now: float) -> list[Action]:
        """The run uses `held` bytes. If that is more than its reservation, it is reserved from here on."""
        entry = self._running(model_id, run)
        entry.footprint = max(entry.footprint, held)
        return self._settle(now)

    def on_remembered(self, model_id: str, guard_kills: int, held: str | None, now: float) -> list[Action]:
        """Restore an earlier sparkd's records: how often the guard killed the model, and why it is `held`."""
        entry = self._entry(model_id)
        entry.guard_kills = guard_kills
        if held is not None and entry.state is State.STOPPED:  # a running or failed model has a newer state
            entry.until, entry.cause = NEVER, held
            self._go(entry, Event.HELD, now)
        return self._settle(now)

    def on_tick(self, now: float) -> list[Action]:
        """Compare the deadlines with the clock."""
        return self._settle(now)

    def on_stop(self, model_id: str, now: float) -> list[Action]:
        """The operator stops the model: refuse waiting requests and drain the others."""
        entry = self._entry(model_id)
        self._refuse_waiting(entry, lambda: refusals.stopped(entry))
        self._evict(entry, now, "the operator stopped it", hurried=True)
        return self._settle(now)

    def on_retry(self, model_id: str, now: float) -> list[Action]:
        """The operator resets the model's failures."""
        self._forgive(self._entry(model_id), now)
        return self._settle(now)

    def on_catalogue(
        self,
        models: Mapping[str, Model],
        restart: Container[str],
        now: float,
        *,
        budget: Budget,
        footprint: Callable[[Model, Budget], Footprint],
        settings: Settings,
    ) -> list[Action]:
        """Use a reloaded catalogue. The models in `restart` would now start differently.

        Requests that wait for a removed or disabled model are refused, and its running ones are drained. A model in
        `restart` is drained too, but requests for it keep waiting. A failed model that would now start differently may
        start again at once.
        """
        self._models = models
        self._govern(replace(budget, leaked=self.budget.leaked), footprint, settings)
        self._books.change_patience(settings.queue.max_wait)
        for entry in self._books.everyone():
            model = models.get(entry.model.id)
            entry.withdrawn = model is None or not model.enabled
            if model is None or entry.withdrawn:
                self._withdraw(entry, now)
                continue
            if entry.state is State.BACKOFF and not model.starts_like(entry.model):
                self._forgive(entry, now)
            entry.model = model
            if not entry.resident:
                entry.footprint, entry.basis = self.footprint(model)
            elif model.id in restart:
                self._evict(entry, now, "its definition changed")
        return self._settle(now)

    def on_replacing(self, now: float) -> list[Action]:
        """Refuse requests that would have to wait, because sparkd is about to replace itself. Starts continue."""
        self._closing = refusals.replacing
        return self._settle(now)

    def go_on(self) -> None:
        """Let requests wait again, because sparkd is not replaced."""
        self._closing = None

    def on_held(self, held: HeldEntry, now: float) -> list[Action]:
        """Take over a model, with its process, from the sparkd that this one replaces."""
        entry = self._entry(held.model)
        if held.state in STEADY:
            self._go(entry, Event.LAUNCH, now)
            entry.process = True
        if held.state is State.READY:
            self._go(entry, Event.HEALTHY, now)
        elif held.state is State.BACKOFF:
            self._go(entry, Event.HELD, now)
        restore(entry, held)
        self._runs = max(self._runs, held.run)
        return self._settle(now)

    def on_shutdown(self, now: float) -> list[Action]:
        """Refuse all waiting requests from now on, and drain all models."""
        self._closing = refusals.shutting_down
        for entry in list(self._books.residents()):
            self._evict(entry, now, "sparkd is stopping", hurried=True)
        return self._settle(now)

    # Read access ----------------------------------------------------------------------------------

    def knows(self, model_id: str) -> bool:
        """Whether the catalogue has the model."""
        return model_id in self._models

    def hold(self) -> list[HeldEntry]:
        """The state to hand over. No request may wait or run, and no process may be stopping."""
        return hold(self._books.everyone())

    @property
    def steady(self) -> bool:
        """Whether no request waits or runs, and every process can be handed over."""
        entries = self._books.active.values()
        busy = self._books.queue or self._books.leases
        return not busy and all(entry.state in STEADY for entry in entries if entry.resident)

    def copy(self) -> Scheduler:
        """A copy of the scheduler, for simulations."""
        twin = copy(self)
        twin._books = self._books.copy()  # noqa: SLF001 - of the same class
        twin.guard = Guard(self.guard.floor)
        twin._actions = []  # noqa: SLF001
        return twin

    def entries(self) -> Iterable[Entry]:
        """The entries of all active models. Do not change them."""
        return self._books.active.values()

    def entry(self, model_id: str) -> Entry | None:
        """The model's entry, None before its first request. Do not change it."""
        return self._books.active.get(model_id) or self._books.at_rest.get(model_id)

    @property
    def waiting(self) -> int:
        """The number of waiting tickets."""
        return len(self._books.queue)

    @property
    def reserved(self) -> int:
        """Bytes reserved for resident models."""
        return self._books.reserved()

    # Parts of events -----------------------------------------------------------------------------------------

    def _forgive(self, entry: Entry, now: float) -> None:
        entry.failures, entry.guard_kills, entry.until = 0, 0, min(entry.until, now)

    def _withdraw(self, entry: Entry, now: float) -> None:
        self._refuse_waiting(entry, lambda: refusals.withdrawn(entry))
        self._evict(entry, now, "it was removed from the catalogue or disabled")
        self._forgive(entry, now)
        self._books.at_rest.pop(entry.model.id, None)

    # Look-ups -----------------------------------------------------------------------------------------------

    def _entry(self, model_id: str) -> Entry:
        books = self._books
        entry = books.active.get(model_id) or books.at_rest.pop(model_id, None)
        if entry is None:
            model = self._models[model_id]
            entry = Entry(model, *self.footprint(model))
        books.active[model_id] = entry
        return entry

    def _running(self, model_id: str, run: int) -> Entry:
        entry = self._books.active.get(model_id)
        if entry is None or entry.run != run or not entry.process:
            raise LifecycleError(f"run {run} of {model_id} is not in the ledger")
        return entry
