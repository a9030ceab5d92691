"""The scheduler: an event goes in, actions come out, without an await in between.

Every `on_*` records the event in the ledger and ends in `_decide`, which makes all decisions. Deadlines are numbers in
the ledger; `on_tick` compares them with `now`. `deadline` is the latest time of the next tick. It may be too early: the
tick then does nothing and sets the next one.

Requests and sparkd's own end are here, events of runs and of memory in run_events.py, what the owner does in
owner_events.py, and holds in hold_events.py. The policy is in policy.py, and the steps that decisions consist of are
in steps.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import copy

from sparkd.scheduling import refusals
from sparkd.scheduling.actions import Action, Grant
from sparkd.scheduling.claim import PLAIN_CLAIM, Claim
from sparkd.scheduling.evictions import choose_evictions
from sparkd.scheduling.guard import MemoryGuard
from sparkd.scheduling.hold_events import HoldEvents
from sparkd.scheduling.ledger import Entry
from sparkd.scheduling.lifecycle import Event, State
from sparkd.scheduling.places import PlaceSnapshot
from sparkd.scheduling.snapshot import TRANSFERABLE_STATES, EntrySnapshot, restore_entry, snapshot_entries
from sparkd.scheduling.ticket import Ticket


class Scheduler(HoldEvents):
    """Decides for all models. `now` is always in seconds of the caller's monotonic clock."""

    def on_request(self, model_id: str, now: float, claim: Claim = PLAIN_CLAIM) -> tuple[int, list[Action]]:
        """Add a request; return its ticket and the actions, perhaps its grant or refusal."""
        entry = self._find_or_add_entry(model_id)
        if entry.state is State.READY and now < self.deadline and not entry.waiting:
            use = entry.sessions.use
            ticket_id = self._ledger.grant_at_once(entry, now, claim)
            self._actions.append(Grant(ticket_id, model_id, entry.run))
            return ticket_id, self._decide(now, entry, use)
        ticket = self._ledger.enqueue(entry, now, claim)
        return ticket.id, self._decide(now, entry)

    def on_leave(self, ticket_id: int, now: float) -> list[Action]:
        """Remove a ticket: its response is complete, or its client disconnected while it waited.

        A client that waited may return to its place. The load of its model continues.
        """
        if ticket_id in self._ledger.leases:
            return self._decide(now, self._ledger.end_lease(ticket_id, now))
        if ticket_id in self._ledger.ended_leases:
            self._ledger.ended_leases.remove(ticket_id)
            return self._decide(now)
        self._ledger.dequeue_with_place(ticket_id, now)
        return self._decide(now)

    def on_tick(self, now: float) -> list[Action]:
        """Compare the deadlines with the clock."""
        return self._decide(now)

    def on_replacing(self, now: float) -> list[Action]:
        """Refuse requests that would have to wait, because sparkd is about to replace itself. Starts continue."""
        self._closing_error = refusals.replacing_error
        return self._decide(now)

    def reopen(self) -> None:
        """Let requests wait again, because sparkd is not replaced."""
        self._closing_error = None

    def on_held(self, snapshot: EntrySnapshot, now: float) -> list[Action]:
        """Take over a model, with its process, from the sparkd that this one replaces."""
        entry = self._find_or_add_entry(snapshot.model)
        if snapshot.state in TRANSFERABLE_STATES:
            self._transition(entry, Event.LAUNCH, now, is_restored=True)
            entry.has_process = True
        if snapshot.state is State.READY:
            self._transition(entry, Event.HEALTHY, now, is_restored=True)
        elif snapshot.state is State.BACKOFF:
            self._transition(entry, Event.RESTORED, now, is_restored=True)
        restore_entry(entry, snapshot)
        self._ledger.holds.update((hold.id, hold) for hold in entry.holds)
        self._last_run = max(self._last_run, snapshot.run)
        return self._decide(now)

    def on_shutdown(self, now: float) -> list[Action]:
        """Refuse all waiting requests from now on, and drain all models."""
        self._closing_error = refusals.shutdown_error
        for entry in list(self._ledger.residents()):
            self._evict(entry, now, "drained", "sparkd is stopping", urgent=True)
        return self._decide(now)

    # Read access ----------------------------------------------------------------------------------

    def has_model(self, model_id: str) -> bool:
        """Whether the catalogue has the model."""
        return model_id in self._models

    def snapshot(self) -> list[EntrySnapshot]:
        """The state to hand over. No request may wait or run, and no process may be stopping."""
        return snapshot_entries(self._ledger.all_entries())

    def snapshot_places(self) -> list[PlaceSnapshot]:
        """The places of clients that may return, to hand over."""
        return self._ledger.places.snapshot()

    def restore_places(self, places: Iterable[PlaceSnapshot]) -> None:
        """Take over the places of clients that may return from the sparkd that this one replaces."""
        self._ledger.places.restore(places)

    @property
    def is_transferable(self) -> bool:
        """Whether no request waits or runs, and every process can be handed over."""
        entries = self._ledger.active.values()
        ledger = self._ledger
        busy = ledger.queue or ledger.leases or ledger.ended_leases or ledger.preparation
        return not busy and all(entry.state in TRANSFERABLE_STATES for entry in entries if entry.is_resident)

    def has_room(self, size: int) -> bool:
        """Whether `size` bytes are free in the ledger and on the machine, beside everything that runs now."""
        on_machine = self.available is None or self.available - self.guard.floor >= size
        return on_machine and self.reserved + size <= self.budget.beside_launchers().bytes

    def can_load(self, model_id: str, now: float) -> bool:
        """Whether a request for the model would be served at some time: it has not failed, and fits if others leave."""
        entry = self.entry(model_id) or Entry(self._models[model_id], *self.footprint(self._models[model_id]))
        if entry.state is State.BACKOFF:
            return False
        others = [each for each in self._ledger.residents() if each is not entry]
        return choose_evictions(entry, others, self.budget, now) is not None

    def can_start_without_eviction(self, model_id: str) -> bool:
        """Whether a background request for the model would be served: the model is loaded or loads, or fits into free
        memory while no other request waits for a stopped model."""
        model = self._models[model_id]
        entry = self.entry(model_id) or Entry(model, *self.footprint(model))
        if entry.state is State.STOPPED:
            return self._closing_error is None and self._can_launch_in_background(entry)
        return entry.state in (State.STARTING, State.READY)

    def copy(self) -> Scheduler:
        """A copy of the scheduler, for simulations."""
        duplicate = copy(self)
        duplicate._ledger = self._ledger.copy()  # noqa: SLF001 - of the same class
        duplicate.guard = MemoryGuard(self.guard.floor)
        duplicate._actions = []  # noqa: SLF001
        duplicate.observer = None
        duplicate._can_preload = None  # noqa: SLF001 - checks the disk
        return duplicate

    def entries(self) -> Iterable[Entry]:
        """The entries of all active models. Do not change them."""
        return self._ledger.active.values()

    def models_in_turn(self) -> list[Entry]:
        """The stopped models that requests wait for, in the order in which they are loaded. Do not change them."""
        return self._ledger.waiting_models()

    @property
    def tickets(self) -> Mapping[int, Ticket]:
        """The waiting tickets by their ids. Do not change it."""
        return self._ledger.queue

    @property
    def waiting(self) -> int:
        """The number of waiting tickets."""
        return len(self._ledger.queue)

    @property
    def reserved(self) -> int:
        """Bytes reserved for resident models."""
        return self._ledger.total_reserved()
