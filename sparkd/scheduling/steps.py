"""The steps that decisions consist of. Each one changes the ledger and adds the action that follows from it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from sparkd.catalog.definitions import Model
from sparkd.catalog.quantities import GIB, MIB
from sparkd.catalog.settings import Settings
from sparkd.errors import Refusal
from sparkd.scheduling.actions import Action, Discard, EndLaunchers, Kill, Launch, Prepare, Refuse, Terminate
from sparkd.scheduling.guard import MemoryGuard
from sparkd.scheduling.lease_ledger import LeaseLedger
from sparkd.scheduling.ledger import NEVER, Entry, Preparation
from sparkd.scheduling.lifecycle import Event, State, next_state
from sparkd.scheduling.memory import Budget, Footprint, default_floor
from sparkd.scheduling.transitions import SchedulingObserver, describe_transition
from sparkd.usage.records import StopReason

PREPARE_MEMORY: Final = 2 * GIB
"""Bytes that must be available beyond the floor before a model is prepared."""

PREPARED_MEMORY: Final = 512 * MIB
"""Bytes that a preparation is assumed to use. They are part of the footprint of the model's own launch."""

GUARD_KILLS: Final = 2
"""Kills by the memory guard after which only an operator can start the model again."""


class SchedulingSteps:
    """The ledger, what decisions need to know, and their steps. SchedulingPolicy, its subclass, decides."""

    def __init__(
        self,
        ledger: LeaseLedger,
        budget: Budget,
        footprint: Callable[[Model, Budget], Footprint],
        settings: Settings,
        can_prepare: Callable[[Model], bool],
    ) -> None:
        self._ledger = ledger
        self._can_prepare = can_prepare
        self.guard = MemoryGuard(0)
        self._apply_settings(budget, footprint, settings)
        self.available: int | None = None
        self._actions: list[Action] = []
        self._last_run = 0
        self.is_ending_launchers = False
        self._closing_error: Callable[[], Refusal] | None = None
        self.deadline = NEVER
        self.observer: SchedulingObserver | None = None
        """None on copies for simulations."""

    def _apply_settings(
        self, budget: Budget, footprint: Callable[[Model, Budget], Footprint], settings: Settings
    ) -> None:
        """Use this budget, these footprints and these settings from now on."""
        self._queue_settings = settings.queue
        self._failure_settings = settings.failures
        self._footprint = footprint
        floor = settings.memory.floor
        self.guard.floor = default_floor(budget.total) if floor is None else floor
        self.budget = budget

    def queue_everything(self) -> None:
        """Let every request wait, whatever the settings of the queue are."""
        self._queue_settings = replace(self._queue_settings, on_busy="wait", max_length=sys.maxsize)

    def footprint(self, model: Model) -> Footprint:
        """What the next launch of the model would reserve."""
        return self._footprint(model, self.budget)

    # The life of a process ---------------------------------------------------------------------------------

    def _launch(self, entry: Entry, now: float) -> None:
        """Launch the model, with the run number of its preparation if it is prepared."""
        prepared = self._ledger.preparation
        if prepared and prepared.model == entry.model.id:
            entry.run, self._ledger.preparation = prepared.run, None
        else:
            self._discard()
            entry.run = self._next_run()
        entry.has_process = True
        entry.ready_at, entry.urgent, entry.drain_deadline, entry.cause = None, False, NEVER, ""
        entry.killed = entry.is_dismissed = entry.is_preload = False
        entry.reason, entry.stop_reason, entry.evicted_for = "", None, ""
        entry.idle_timeout = None
        self._transition(entry, Event.LAUNCH, now)
        self._actions.append(Launch(entry.model.id, entry.run))

    def _next_run(self) -> int:
        self._last_run += 1
        return self._last_run

    def _evict(
        self,
        entry: Entry,
        now: float,
        stop_reason: StopReason,
        reason: str,
        *,
        urgent: bool = False,
        evicted_for: str = "",
    ) -> None:
        """Stop the model, once its requests are finished. `reason` is for people, and `evicted_for` the model that
        needs the memory."""
        entry.urgent = entry.urgent or urgent
        if entry.state in (State.STARTING, State.READY) or urgent:
            entry.reason, entry.stop_reason, entry.evicted_for = reason, stop_reason, evicted_for
        if entry.state is State.STARTING:
            self._transition(entry, Event.EVICT, now)
            self._actions.append(Terminate(entry.model.id, entry.run, entry.reason))
        elif entry.state is State.READY:
            entry.sessions.suspend(entry.last_used)
            self._transition(entry, Event.EVICT, now)
            entry.drain_deadline = now + entry.model.drain_timeout
            self._terminate_if_drained(entry, now)

    def _terminate_if_drained(self, entry: Entry, now: float) -> None:
        """Terminate a drained model, but not while another one starts and measures the machine's memory."""
        if entry.killed:
            return  # the guard has killed it already
        if (not entry.leases or now >= entry.drain_deadline) and (entry.urgent or not self._starting_entry()):
            self._transition(entry, Event.DRAINED, now)
            self._actions.append(Terminate(entry.model.id, entry.run, entry.reason))

    def _time_out_start(self, entry: Entry, now: float) -> None:
        self._fail(
            entry,
            f"it was not ready within {entry.model.start_timeout:.0f} seconds. Check its log, or raise start_timeout.",
            now,
        )
        self._actions.append(Terminate(entry.model.id, entry.run, "start timeout"))

    def _fail(self, entry: Entry, cause: str, now: float) -> None:
        """Count the failure. After a long successful run, the count starts again: it is not a crash loop."""
        if entry.ready_at is not None and now - entry.ready_at >= self._failure_settings.backoff_max:
            entry.failures = 0
        entry.failures += 1
        pause = min(
            self._failure_settings.backoff * 2.0 ** (entry.failures - 1), self._failure_settings.backoff_max
        )
        entry.retry_at = NEVER if entry.failures >= self._failure_settings.max_failures else now + pause
        entry.cause = cause
        self._transition(entry, Event.FAILED, now)

    def _forgive(self, entry: Entry, cause: str, now: float) -> None:
        """Let a ready model end without a failure, so that requests for it keep waiting."""
        if entry.state is State.READY:
            entry.failures = 0
            entry.reason, entry.stop_reason, entry.evicted_for = cause, "crash", ""
            entry.sessions.suspend(entry.last_used)
            self._transition(entry, Event.EVICT, now)

    def _end_stalled(self, entry: Entry, cause: str, now: float, *, forgiven: bool) -> None:
        """End a ready model that makes no progress."""
        if forgiven:
            self._forgive(entry, cause, now)
            self._transition(entry, Event.DRAINED, now)
        else:
            self._fail(entry, cause, now)
        self._actions.append(Terminate(entry.model.id, entry.run, "it has stalled"))

    def _kill(self, entry: Entry, now: float) -> None:
        """Kill the model now. After the second kill only an operator can start it: a third might freeze the machine."""
        self.guard.record_kill()
        entry.killed = True
        self._actions.append(Kill(entry.model.id, entry.run, self.guard.describe()))
        self._report_guard_kill(entry.model.id)
        if entry.state in (State.STARTING, State.READY):
            self._fail(entry, self.guard.cause, now)
            entry.guard_kills += 1
            if entry.guard_kills >= GUARD_KILLS:
                entry.retry_at = NEVER

    def _report_guard_kill(self, model_id: str) -> None:
        if self.observer:
            self.observer.record_guard_kill(model_id, self.guard.describe())

    def _transition(self, entry: Entry, event: Event, now: float, *, is_restored: bool = False) -> State:
        """Change the state as the lifecycle says; return the new one. `is_restored`: the ledger only catches up with
        an earlier sparkd's, so nothing has happened now."""
        before, target = entry.state, next_state(entry.state, event)
        if event is Event.RECLAIMED and entry.state is State.STOPPING:
            entry.stop_time = now - entry.since
        if target is not before:
            entry.state = target
            if self.observer and not is_restored:
                self.observer.record_transition(describe_transition(entry, before, event, now))
            entry.since = now
        return target

    def _starting_entry(self) -> Entry | None:
        return next((e for e in self._ledger.active.values() if e.state is State.STARTING), None)

    # Preparation and launchers -----------------------------------------------------------------------------

    def _prepare(self, entry: Entry) -> None:
        self._ledger.preparation = Preparation(entry.model.id, self._next_run())
        self._actions.append(Prepare(entry.model.id, self._ledger.preparation.run))

    def _discard(self) -> None:
        """Discard the preparation, if there is one."""
        if prepared := self._ledger.preparation:
            self._ledger.preparation = None
            self._actions.append(Discard(prepared.model, prepared.run))

    def _end_launchers(self) -> None:
        """End the launchers, if there are any and they are not ending already."""
        if self.budget.launchers and not self.is_ending_launchers:
            self.is_ending_launchers = True
            self._actions.append(EndLaunchers())

    # Tickets and actions -----------------------------------------------------------------------------------

    def _take_actions(self) -> list[Action]:
        actions, self._actions = self._actions, []
        return actions

    def _refuse_waiting(self, entry: Entry, error: Callable[[], Refusal]) -> None:
        for ticket_id in list(entry.waiting):
            self._refuse(ticket_id, error())

    def _refuse(self, ticket_id: int, error: Refusal) -> None:
        entry, _ = self._ledger.dequeue(ticket_id)
        self._actions.append(Refuse(ticket_id, error, entry.model.id))
