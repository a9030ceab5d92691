"""What happens to runs, and to the memory of the machine: events of engines, of the memory watch and of launchers."""

from __future__ import annotations

from msgspec.structs import replace

from sparkd.scheduling.actions import Action
from sparkd.scheduling.guard import Sample, choose_victim
from sparkd.scheduling.ledger import Entry
from sparkd.scheduling.lifecycle import Event, LifecycleError, State
from sparkd.scheduling.policy import SchedulingPolicy


class RunEvents(SchedulingPolicy):
    """Records what happens to runs and to memory. OwnerEvents, its subclass, adds what the owner does."""

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
        self._ledger.end_leases(entry)
        if forgiven:
            self._forgive(entry, cause, now)
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

    def on_measured(self, model_id: str, run: int, used: int, now: float) -> list[Action]:
        """The run uses `used` bytes. If that is more than its reservation, it is reserved from here on."""
        entry = self._require_running(model_id, run)
        entry.footprint = max(entry.footprint, used)
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

    def _free_memory_at_once(self, now: float) -> None:
        """End what is worth least: a preparation, otherwise a model; and the launchers in any case."""
        if self._ledger.preparation:
            self.guard.record_kill()
            self._report_guard_kill(self._ledger.preparation.model)
            self._discard()
        elif victim := choose_victim(self._ledger.residents()):
            self._kill(victim, now)
        self._end_launchers()

    def _require_running(self, model_id: str, run: int) -> Entry:
        entry = self._ledger.active.get(model_id)
        if entry is None or entry.run != run or not entry.has_process:
            raise LifecycleError(f"run {run} of {model_id} is not in the ledger")
        return entry
