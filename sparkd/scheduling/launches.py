"""When a model fits and may be launched, and which one is prepared meanwhile."""

from __future__ import annotations

from collections.abc import Iterable

from sparkd.scheduling.evictions import choose_evictions, fits
from sparkd.scheduling.ledger import Entry
from sparkd.scheduling.lifecycle import State
from sparkd.scheduling.memory import Budget
from sparkd.scheduling.steps import PREPARE_MEMORY, PREPARED_MEMORY, SchedulingSteps


class Launches(SchedulingSteps):
    """Launches and prepares a model that is next. HoldPolicy, its subclass, adds holds."""

    def _launch_if_possible(self, entry: Entry, now: float) -> bool:
        residents = list(self._ledger.residents())
        others_changing = any(
            each.killed or each.state not in (State.READY, State.DRAINING) for each in residents
        )
        budget = self._available_budget(entry, residents)
        if others_changing or not fits(entry, residents, budget):
            return False
        if not fits(entry, residents, budget.beside_launchers()):
            self._end_launchers()
            return False
        self._launch(entry, now)
        return True

    def _update_preparation(self, heads: Iterable[Entry], now: float) -> None:
        """Prepare the model that launches once others have left. Discard the preparation of any other model."""
        residents = list(self._ledger.residents())
        next_models = [
            entry for entry in heads if self._only_waits_for_others_to_leave(entry, residents, now)
        ]
        prepared = self._ledger.preparation
        if prepared and all(entry.model.id != prepared.model for entry in next_models):
            self._discard()
        is_leaving = any(resident.state is not State.READY for resident in residents)
        if next_models and is_leaving and not self._ledger.preparation and self._has_memory_to_prepare():
            able = (entry for entry in next_models if self._can_prepare(entry.model))
            if entry := next(able, None):
                self._prepare(entry)

    def _only_waits_for_others_to_leave(self, entry: Entry, residents: list[Entry], now: float) -> bool:
        """Whether the model launches as soon as the models that are leaving have left."""
        if not entry.waiting or self._starting_entry():
            return False
        return choose_evictions(entry, residents, self.budget, now) == []

    def _has_memory_to_prepare(self) -> bool:
        return self.available is None or self.available - self.guard.floor >= PREPARE_MEMORY

    def _available_budget(self, entry: Entry, residents: list[Entry]) -> Budget:
        """The budget within the machine's memory: what residents have reserved and launchers use, plus what is
        available beyond the floor. A guessed footprint is everything a model may use: it runs alone, and the guard
        watches its real use."""
        if self.available is None or entry.basis == "guessed":
            return self.budget
        reserved = sum(resident.footprint for resident in residents)
        if (prepared := self._ledger.preparation) and prepared.model == entry.model.id:
            reserved += PREPARED_MEMORY
        free = max(0, self.available - self.guard.floor) + self.budget.launchers
        return self.budget.limited_to(free + reserved)
