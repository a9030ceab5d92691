"""What the owner does: a catalogue is reloaded, a model is stopped, or its failures are reset."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping

from msgspec.structs import replace

from sparkd.catalog.definitions import Model
from sparkd.catalog.settings import Settings
from sparkd.scheduling import refusals
from sparkd.scheduling.actions import Action
from sparkd.scheduling.holding import check_not_held
from sparkd.scheduling.lease_ledger import LeaseLedger
from sparkd.scheduling.ledger import NEVER, Entry
from sparkd.scheduling.lifecycle import Event, State
from sparkd.scheduling.memory import Budget, Footprint
from sparkd.scheduling.run_events import RunEvents


class OwnerEvents(RunEvents):
    """Records what the owner does, and has the models. HoldEvents, its subclass, adds holds."""

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
        ledger = LeaseLedger(settings.queue.max_wait, settings.queue.keep_place)
        super().__init__(ledger, budget, footprint, settings, can_prepare)
        self._models = models
        self._load_time = load_time
        self._can_preload: Callable[[Model], bool] | None = None

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

    def on_stop(self, model_id: str, now: float) -> list[Action]:
        """The operator stops the model: refuse waiting requests and drain the others. Raises HoldConflict."""
        entry = self._find_or_add_entry(model_id)
        check_not_held(entry, now)
        entry.is_dismissed = True
        self._refuse_waiting(entry, lambda: refusals.model_stopped_error(entry))
        self._evict(entry, now, "operator", "the operator stopped it", urgent=True)
        return self._decide(now)

    def on_unload(self, model_id: str, now: float) -> list[Action]:
        """An operator needs the model no longer: it ends at once if no request uses it or waits for it, otherwise after
        the last of these. Raises HoldConflict."""
        entry = self._find_or_add_entry(model_id)
        check_not_held(entry, now)
        entry.is_dismissed, entry.idle_timeout = True, 0.0
        if not (entry.leases or entry.waiting):
            self._evict(entry, now, "operator", "an operator unloaded it")
        return self._decide(now)

    def on_serving(self, can_preload: Callable[[Model], bool], now: float) -> list[Action]:
        """sparkd serves requests from now on: load the models that are to be loaded without a request.

        `can_preload`: whether the model's files are on disk.
        """
        self._can_preload = can_preload
        self._find_preloads()
        return self._decide(now)

    def _find_preloads(self) -> None:
        """Have an entry for each enabled model with `preload`, once sparkd serves."""
        if self._can_preload is None:
            return
        wanted = [model for model in self._models.values() if model.preload and model.enabled]
        self._preloads = [self._find_or_add_entry(model.id).model.id for model in wanted]

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
        self._ledger.places.seconds = settings.queue.keep_place
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
                self._evict(entry, now, "drained", "its definition changed")
        self._find_preloads()
        return self._decide(now)

    def _clear_failures(self, entry: Entry, now: float) -> None:
        entry.failures, entry.guard_kills, entry.retry_at = 0, 0, min(entry.retry_at, now)

    def _withdraw(self, entry: Entry, now: float) -> None:
        self._refuse_waiting(entry, lambda: refusals.model_withdrawn_error(entry))
        self._evict(entry, now, "drained", "it was removed from the catalogue or disabled")
        self._clear_failures(entry, now)
        for hold in entry.holds:
            self._end_hold(hold)
        self._ledger.inactive.pop(entry.model.id, None)

    def entry(self, model_id: str) -> Entry | None:
        """The model's entry, None before its first request. Do not change it."""
        return self._ledger.active.get(model_id) or self._ledger.inactive.get(model_id)

    def _find_or_add_entry(self, model_id: str) -> Entry:
        ledger = self._ledger
        if (entry := ledger.active.get(model_id)) is not None:
            return entry
        entry = ledger.inactive.get(model_id)
        if entry is None:
            model = self._models[model_id]
            entry = Entry(model, *self.footprint(model), load_time=self._load_time(model) or 0.0)
        ledger.activate(entry)
        return entry
