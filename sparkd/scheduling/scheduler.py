"""The scheduler: an event goes in, actions come out, and nothing awaits in between.

Every `on_*` writes the event into the books and ends in `_settle`, the one decision procedure. Deadlines are
numbers in the books, compared with `now` when `on_tick` comes; `deadline` says when that should be at the latest, and
may say so too early: then there is nothing to do, and it says the next one.

What is decided, and in what order, is in decisions.py.
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
    """Decides for all models. `now` is seconds of one steady clock, the caller's, in every call."""

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
        """Write a request into the books; return its ticket and what follows, maybe its grant or refusal."""
        entry = self._entry(model_id)
        ticket = self._books.enqueue(entry, now)
        return ticket.id, self._settle(now, entry)

    def on_leave(self, ticket_id: int, now: float) -> list[Action]:
        """Take a ticket out of the books: its answer is complete, or its client left while it waited."""
        if ticket_id in self._books.leases:
            return self._settle(now, self._books.give_back(ticket_id, now))
        self._books.dequeue(ticket_id)
        return self._settle(now)

    def on_healthy(self, model_id: str, run: int, now: float) -> list[Action]:
        """Note that the run's engine answers its health path."""
        entry = self._running(model_id, run)
        launched = entry.since
        if self._go(entry, Event.HEALTHY, now) is State.READY:
            entry.ready_at = entry.last_used = now
            entry.load_time = now - launched
        return self._settle(now)

    def on_exited(self, model_id: str, run: int, cause: str, now: float) -> list[Action]:
        """Note that the run's process has ended. Unless it was told to, that is a failure, whatever its code."""
        entry = self._running(model_id, run)
        entry.leases.clear()
        if entry.state in (State.STARTING, State.READY):
            self._fail(entry, cause, now)
        else:
            self._go(entry, Event.EXITED, now)
        return self._settle(now)

    def on_wedged(self, model_id: str, run: int, cause: str, now: float) -> list[Action]:
        """Note that the run's engine gets nowhere with its requests. One that is leaving has its deadline already."""
        entry = self._running(model_id, run)
        if entry.state is State.READY:
            self._fail(entry, cause, now)
            self._terminate(entry, "it stands still")
        return self._settle(now)

    def on_reclaimed(self, model_id: str, run: int, now: float, *, missing: int = 0) -> list[Action]:
        """Note that nothing is left of the run: no process, and its memory is back, but for `missing` bytes of it."""
        entry = self._running(model_id, run)
        entry.process = False
        self.budget = replace(self.budget, leaked=self.budget.leaked + missing)
        if self._go(entry, Event.RECLAIMED, now) is State.STOPPED and entry.ready_at is not None:
            entry.failures = 0
        return self._settle(now)

    def on_memory(self, available: int | None, least: int, now: float) -> list[Action]:
        """Take a look at the machine's memory into account, and end somebody if it runs out.

        `available` is what models may still take, None where nobody can say; `least` is what is available where it is
        scarcest, the host's own memory included.
        """
        self.available = available
        self.guard.note(Sample(now, least))
        if available is not None and not any(self._books.residents()):
            # Nobody has any of it, so what is available is not leaked, whatever was believed.
            found = max(0, self.budget.total - self.budget.reserve - available)
            self.budget = replace(self.budget, leaked=min(self.budget.leaked, found))
        if self.guard.due and (victim := first_to_go(self._books.residents())):
            self._kill(victim, now)
        return self._settle(now)

    def on_measured(self, model_id: str, run: int, held: int, now: float) -> list[Action]:
        """Note what a run really holds, in bytes. More than was reserved for it is reserved from here on."""
        entry = self._running(model_id, run)
        entry.footprint = max(entry.footprint, held)
        return self._settle(now)

    def on_remembered(self, model_id: str, guard_kills: int, held: str | None, now: float) -> list[Action]:
        """Note what an earlier sparkd knew: how often the guard has ended the model, and why it is `held`, if so."""
        entry = self._entry(model_id)
        entry.guard_kills = guard_kills
        if (
            held is not None and entry.state is State.STOPPED
        ):  # what runs or has just failed speaks for itself
            entry.until, entry.cause = NEVER, held
            self._go(entry, Event.HELD, now)
        return self._settle(now)

    def on_tick(self, now: float) -> list[Action]:
        """Compare the books' deadlines with the clock."""
        return self._settle(now)

    def on_stop(self, model_id: str, now: float) -> list[Action]:
        """Carry out the operator's wish that the model stops: who waits is refused, who is served is drained."""
        entry = self._entry(model_id)
        self._refuse_waiting(entry, lambda: refusals.stopped(entry))
        self._evict(entry, now, "the operator stopped it", hurried=True)
        return self._settle(now)

    def on_retry(self, model_id: str, now: float) -> list[Action]:
        """Carry out the operator's wish that past failures are forgotten."""
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
        """Go by a catalogue that was read again. The ids in `restart` run in a way that it says otherwise now.

        Who waits for a model that it has no longer, or has disabled, is refused; who is served is drained. A model that
        is to be restarted is drained, too, and who waits for it waits on. A failed one that would be started otherwise
        may try again at once.
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
                self._evict(entry, now, "its definition has changed")
        return self._settle(now)

    def on_replacing(self, now: float) -> list[Action]:
        """Refuse who would have to wait from now on: sparkd is about to replace itself. Starts go on."""
        self._closing = refusals.replacing
        return self._settle(now)

    def go_on(self) -> None:
        """Let requests wait again: sparkd is not replaced."""
        self._closing = None

    def on_held(self, held: HeldEntry, now: float) -> list[Action]:
        """Go on with a model where the sparkd that this one replaces has left it, its process included."""
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
        """Refuse everybody who waits from now on, and drain everything."""
        self._closing = refusals.shutting_down
        for entry in list(self._books.residents()):
            self._evict(entry, now, "sparkd is stopping", hurried=True)
        return self._settle(now)

    # What others may read ----------------------------------------------------------------------------------

    def knows(self, model_id: str) -> bool:
        """Whether there is such a model."""
        return model_id in self._models

    def hold(self) -> list[HeldEntry]:
        """The books as they are handed on. Nothing may wait, be used or be leaving."""
        return hold(self._books.everyone())

    @property
    def steady(self) -> bool:
        """Whether nobody waits or is served, and every process is one to go on with."""
        entries = self._books.active.values()
        busy = self._books.queue or self._books.leases
        return not busy and all(entry.state in STEADY for entry in entries if entry.resident)

    def copy(self) -> Scheduler:
        """A scheduler with the same books, to try things on."""
        twin = copy(self)
        twin._books = self._books.copy()  # noqa: SLF001 - one of us
        twin.guard = Guard(self.guard.floor)
        twin._actions = []  # noqa: SLF001
        return twin

    def entries(self) -> Iterable[Entry]:
        """The entries of every model that is not at rest. To be read only."""
        return self._books.active.values()

    def entry(self, model_id: str) -> Entry | None:
        """The model's entry, if anybody has asked for it yet. To be read only."""
        return self._books.active.get(model_id) or self._books.at_rest.get(model_id)

    @property
    def waiting(self) -> int:
        """How many tickets wait."""
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
        self._evict(entry, now, "the catalogue has it no longer")
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
            raise LifecycleError(f"run {run} of {model_id} is not in the books")
        return entry
