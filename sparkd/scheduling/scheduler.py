"""The scheduler: an event goes in, actions come out, without an await in between.

Every `on_*` records the event in the ledger and ends in `_decide`, which makes all decisions. Deadlines are numbers in
the ledger; `on_tick` compares them with `now`. `deadline` is the latest time of the next tick. It may be too early: the
tick then does nothing and sets the next one.

The policy is in policy.py, and the steps that decisions consist of are in steps.py.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from copy import copy

from msgspec.structs import replace

from sparkd.catalog.definitions import Model
from sparkd.catalog.settings import Settings
from sparkd.scheduling import refusals
from sparkd.scheduling.actions import Action
from sparkd.scheduling.claim import PLAIN_CLAIM, Claim
from sparkd.scheduling.guard import MemoryGuard, Sample, choose_victim
from sparkd.scheduling.ledger import NEVER, Entry, Ledger
from sparkd.scheduling.lifecycle import Event, LifecycleError, State
from sparkd.scheduling.memory import Budget, Footprint
from sparkd.scheduling.policy import SchedulingPolicy
from sparkd.scheduling.snapshot import TRANSFERABLE_STATES, EntrySnapshot, restore_entry, snapshot_entries


class Scheduler(SchedulingPolicy):
    """Decides for all models. `now` is always in seconds of the caller's monotonic clock."""

    def __init__(
        self,
        models: Mapping[str, Model],
        *,
        budget: Budget,
        footprint: Callable[[Model, Budget], Footprint],
        settings: Settings,
        can_prepare: Callable[[Model], bool] = lambda _: False,
        load_time: Callable[[Model], float | None] = lambda _: None,
    ) -> None:
        """`can_prepare`: whether the start of the model can begin before its memory is free. `load_time`: the seconds
        that its last start took, None if unknown."""
        super().__init__(Ledger(settings.queue.max_wait), budget, footprint, settings, can_prepare)
        self._models = models
        self._load_time = load_time

    # Events ------------------------------------------------------------------------------------------------

    def on_request(self, model_id: str, now: float, claim: Claim = PLAIN_CLAIM) -> tuple[int, list[Action]]:
        """Add a request; return its ticket and the actions, perhaps its grant or refusal."""
        entry = self._find_or_add_entry(model_id)
        ticket = self._ledger.enqueue(entry, now, claim)
        return ticket.id, self._decide(now, entry)

    def on_leave(self, ticket_id: int, now: float) -> list[Action]:
        """Remove a ticket: its response is complete, or its client disconnected while it waited."""
        if ticket_id in self._ledger.leases:
            return self._decide(now, self._ledger.end_lease(ticket_id, now))
        self._ledger.dequeue(ticket_id)
        return self._decide(now)

    def on_healthy(self, model_id: str, run: int, now: float) -> list[Action]:
        """The run's engine responds on its health path."""
        entry = self._require_running(model_id, run)
        launched = entry.since
        if self._transition(entry, Event.HEALTHY, now) is State.READY:
            entry.ready_at = entry.last_used = now
            entry.load_time = now - launched
            entry.sessions.resume(now)
        return self._decide(now)

    def on_restarted(self, model_id: str, run: int, now: float) -> list[Action]:
        """The run's engine did not start, and is started again in another way. Its start deadline begins again."""
        entry = self._require_running(model_id, run)
        if entry.state is State.STARTING:
            entry.since = now
        return self._decide(now)

    def on_exited(
        self, model_id: str, run: int, cause: str, now: float, *, forgiven: bool = False
    ) -> list[Action]:
        """The run's process has ended. That is a failure, whatever its exit code, unless sparkd terminated it or a
        request is to blame (`forgiven`): then the model may start again at once."""
        entry = self._require_running(model_id, run)
        entry.leases.clear()
        if forgiven:
            self._forgive(entry, now)
        if entry.state in (State.STARTING, State.READY):
            self._fail(entry, cause, now)
        else:
            self._transition(entry, Event.EXITED, now)
        return self._decide(now)

    def on_wedged(
        self, model_id: str, run: int, cause: str, now: float, *, forgiven: bool = False
    ) -> list[Action]:
        """The run's engine makes no progress. A draining one already has a deadline. `forgiven`: see `on_exited`."""
        entry = self._require_running(model_id, run)
        if entry.state is State.READY:
            self._end_stalled(entry, cause, now, forgiven=forgiven)
        return self._decide(now)

    def on_reclaimed(self, model_id: str, run: int, now: float, *, missing: int = 0) -> list[Action]:
        """No process of the run is left, and its memory is free again, except `missing` bytes."""
        entry = self._require_running(model_id, run)
        entry.has_process = False
        self.budget = replace(self.budget, leaked=self.budget.leaked + missing)
        if self._transition(entry, Event.RECLAIMED, now) is State.STOPPED and entry.ready_at is not None:
            entry.failures = 0
        return self._decide(now)

    def on_memory(self, available: int | None, scarcest: int, now: float) -> list[Action]:
        """Record the machine's available memory, and kill a model if it runs out.

        `available` is what models may still use, None if unknown. `scarcest` is the smaller of that and the host's own
        available memory.
        """
        self.available = available
        self.guard.add_sample(Sample(now, scarcest))
        if available is not None and not (any(self._ledger.residents()) or self._ledger.preparation):
            # No model uses memory, so what is available is not leaked.
            found = self.budget.total - self.budget.reserve - self.budget.launchers - available
            self.budget = replace(self.budget, leaked=min(self.budget.leaked, max(0, found)))
        if self.guard.must_kill:
            self._free_memory_at_once(now)
        return self._decide(now)

    def on_launchers(self, used: int, now: float) -> list[Action]:
        """Record the bytes that all launchers use now: processes that wait with a runtime's modules in memory."""
        self.budget = replace(self.budget, launchers=used)
        self.is_ending_launchers = self.is_ending_launchers and used > 0
        return self._decide(now)

    def on_measured(self, model_id: str, run: int, used: int, now: float) -> list[Action]:
        """The run uses `used` bytes. If that is more than its reservation, it is reserved from here on."""
        entry = self._require_running(model_id, run)
        entry.footprint = max(entry.footprint, used)
        return self._decide(now)

    def on_remembered(
        self, model_id: str, guard_kills: int, quarantine_cause: str | None, now: float
    ) -> list[Action]:
        """Restore an earlier sparkd's records: how often the guard killed the model, and why it is in quarantine."""
        entry = self._find_or_add_entry(model_id)
        entry.guard_kills = guard_kills
        if (
            quarantine_cause is not None and entry.state is State.STOPPED
        ):  # a running or failed model has a newer state
            entry.retry_at, entry.cause = NEVER, quarantine_cause
            self._transition(entry, Event.RESTORED, now)
        return self._decide(now)

    def on_tick(self, now: float) -> list[Action]:
        """Compare the deadlines with the clock."""
        return self._decide(now)

    def on_stop(self, model_id: str, now: float) -> list[Action]:
        """The operator stops the model: refuse waiting requests and drain the others."""
        entry = self._find_or_add_entry(model_id)
        self._refuse_waiting(entry, lambda: refusals.model_stopped_error(entry))
        self._evict(entry, now, "the operator stopped it", urgent=True)
        return self._decide(now)

    def on_retry(self, model_id: str, now: float) -> list[Action]:
        """The operator resets the model's failures."""
        self._clear_failures(self._find_or_add_entry(model_id), now)
        return self._decide(now)

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
        self._discard()  # what it has read may have changed
        kept = replace(budget, leaked=self.budget.leaked, launchers=self.budget.launchers)
        self._apply_settings(kept, footprint, settings)
        self._ledger.set_max_wait(settings.queue.max_wait)
        for entry in self._ledger.all_entries():
            model = models.get(entry.model.id)
            entry.withdrawn = model is None or not model.enabled
            if model is None or entry.withdrawn:
                self._withdraw(entry, now)
                continue
            if entry.state is State.BACKOFF and not model.launches_same_as(entry.model):
                self._clear_failures(entry, now)
            entry.model = model
            if not entry.is_resident:
                entry.footprint, entry.basis = self.footprint(model)
            elif model.id in restart:
                self._evict(entry, now, "its definition changed")
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
            self._transition(entry, Event.LAUNCH, now)
            entry.has_process = True
        if snapshot.state is State.READY:
            self._transition(entry, Event.HEALTHY, now)
        elif snapshot.state is State.BACKOFF:
            self._transition(entry, Event.RESTORED, now)
        restore_entry(entry, snapshot)
        self._last_run = max(self._last_run, snapshot.run)
        return self._decide(now)

    def on_shutdown(self, now: float) -> list[Action]:
        """Refuse all waiting requests from now on, and drain all models."""
        self._closing_error = refusals.shutdown_error
        for entry in list(self._ledger.residents()):
            self._evict(entry, now, "sparkd is stopping", urgent=True)
        return self._decide(now)

    # Read access ----------------------------------------------------------------------------------

    def has_model(self, model_id: str) -> bool:
        """Whether the catalogue has the model."""
        return model_id in self._models

    def snapshot(self) -> list[EntrySnapshot]:
        """The state to hand over. No request may wait or run, and no process may be stopping."""
        return snapshot_entries(self._ledger.all_entries())

    @property
    def is_transferable(self) -> bool:
        """Whether no request waits or runs, and every process can be handed over."""
        entries = self._ledger.active.values()
        busy = self._ledger.queue or self._ledger.leases or self._ledger.preparation
        return not busy and all(entry.state in TRANSFERABLE_STATES for entry in entries if entry.is_resident)

    def has_room(self, size: int) -> bool:
        """Whether `size` bytes are free in the ledger and on the machine, beside everything that runs now."""
        on_machine = self.available is None or self.available - self.guard.floor >= size
        return on_machine and self.reserved + size <= self.budget.beside_launchers().bytes

    def copy(self) -> Scheduler:
        """A copy of the scheduler, for simulations."""
        duplicate = copy(self)
        duplicate._ledger = self._ledger.copy()  # noqa: SLF001 - of the same class
        duplicate.guard = MemoryGuard(self.guard.floor)
        duplicate._actions = []  # noqa: SLF001
        return duplicate

    def entries(self) -> Iterable[Entry]:
        """The entries of all active models. Do not change them."""
        return self._ledger.active.values()

    def entry(self, model_id: str) -> Entry | None:
        """The model's entry, None before its first request. Do not change it."""
        return self._ledger.active.get(model_id) or self._ledger.inactive.get(model_id)

    @property
    def waiting(self) -> int:
        """The number of waiting tickets."""
        return len(self._ledger.queue)

    @property
    def reserved(self) -> int:
        """Bytes reserved for resident models."""
        return self._ledger.total_reserved()

    # Parts of events -----------------------------------------------------------------------------------------

    def _free_memory_at_once(self, now: float) -> None:
        """End what is worth least: a preparation, otherwise a model; and the launchers in any case."""
        if self._ledger.preparation:
            self.guard.record_kill()
            self._discard()
        elif victim := choose_victim(self._ledger.residents()):
            self._kill(victim, now)
        self._end_launchers()

    def _clear_failures(self, entry: Entry, now: float) -> None:
        entry.failures, entry.guard_kills, entry.retry_at = 0, 0, min(entry.retry_at, now)

    def _withdraw(self, entry: Entry, now: float) -> None:
        self._refuse_waiting(entry, lambda: refusals.model_withdrawn_error(entry))
        self._evict(entry, now, "it was removed from the catalogue or disabled")
        self._clear_failures(entry, now)
        self._ledger.inactive.pop(entry.model.id, None)

    # Look-ups -----------------------------------------------------------------------------------------------

    def _find_or_add_entry(self, model_id: str) -> Entry:
        ledger = self._ledger
        entry = ledger.active.get(model_id) or ledger.inactive.pop(model_id, None)
        if entry is None:
            model = self._models[model_id]
            entry = Entry(model, *self.footprint(model), load_time=self._load_time(model) or 0.0)
        ledger.active[model_id] = entry
        return entry

    def _require_running(self, model_id: str, run: int) -> Entry:
        entry = self._ledger.active.get(model_id)
        if entry is None or entry.run != run or not entry.has_process:
            raise LifecycleError(f"run {run} of {model_id} is not in the ledger")
        return entry
