"""Holds begin and end, and say what they block."""

from __future__ import annotations

from collections.abc import Iterable

from sparkd.errors import HoldConflict
from sparkd.scheduling import refusals
from sparkd.scheduling.actions import Action
from sparkd.scheduling.evictions import find_blocking_hold, fits
from sparkd.scheduling.hold import Hold
from sparkd.scheduling.ledger import Entry
from sparkd.scheduling.lifecycle import State
from sparkd.scheduling.owner_events import OwnerEvents


class HoldEvents(OwnerEvents):
    """Records holds. Scheduler, its subclass, adds requests and replacement."""

    def on_hold(self, hold: Hold, now: float) -> list[Action]:
        """Begin a hold. Raises HoldConflict or InsufficientMemory if the model does not fit beside what stays loaded.

        It does not load the model: a request does that.
        """
        entry = self._find_or_add_entry(hold.model)
        if not entry.is_resident:
            entry.footprint, entry.basis = self.footprint(entry.model)
        self._check_fits_beside_held(entry, now)
        entry.holds = (*entry.holds, hold)
        self._ledger.holds[hold.id] = hold
        return self._decide(now)

    def on_release(self, hold_id: str, now: float) -> list[Action]:
        """End a hold, if it has not ended yet."""
        if hold := self._ledger.holds.get(hold_id):
            self._end_hold(hold)
        return self._decide(now)

    def holds(self) -> Iterable[Hold]:
        """All holds, the oldest first."""
        return self._ledger.holds.values()

    def blocked_by(self, model_id: str, now: float) -> str:
        """A sentence about the hold that requests for the model wait for, "" if there is none."""
        entry = self.entry(model_id)
        if entry is None or entry.state is not State.STOPPED or not self._ledger.holds:
            return ""
        hold = find_blocking_hold(entry, list(self._ledger.residents()), self.budget, now)
        return f'"{hold.model}" is {hold.describe(now)}.' if hold else ""

    def _check_fits_beside_held(self, entry: Entry, now: float) -> None:
        staying = [
            each
            for each in self._ledger.all_entries()
            if each is not entry and (each.holds or (each.is_resident and each.model.pinned))
        ]
        if fits(entry, staying, self.budget):
            return
        held = [each for each in staying if each.holds]
        if not held:
            raise refusals.insufficient_memory_error(entry, staying, self.budget)
        decisive = [each for each in held if fits(entry, [s for s in staying if s is not each], self.budget)]
        first = (decisive or held)[0]
        raise HoldConflict(
            f'Model "{entry.model.id}" cannot be held: it does not fit beside "{first.model.id}", which is '
            f"{first.holds[0].describe(now)}."
        )
