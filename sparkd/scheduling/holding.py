"""What holds change in the policy: a held model is as if pinned, and requests that it blocks wait or are refused."""

from __future__ import annotations

from sparkd.errors import HoldConflict
from sparkd.scheduling import refusals
from sparkd.scheduling.evictions import find_blocking_hold
from sparkd.scheduling.hold import Hold
from sparkd.scheduling.launches import Launches
from sparkd.scheduling.ledger import Entry


class HoldPolicy(Launches):
    """Ends holds, and decides about the models that they block. BackgroundPolicy, its subclass, adds what nobody waits
    for."""

    def _end_expired_holds(self, now: float) -> None:
        for hold in list(self._ledger.holds.values()):
            if hold.ends <= now:
                self._end_hold(hold)

    def _end_hold(self, hold: Hold) -> None:
        ledger = self._ledger
        del ledger.holds[hold.id]
        if entry := ledger.active.get(hold.model) or ledger.inactive.get(hold.model):
            entry.holds = tuple(each for each in entry.holds if each.id != hold.id)

    def _leave_out_blocked(self, waiting: list[Entry], now: float) -> list[Entry]:
        """The entries that no hold blocks. A blocked one has no turn, so that it does not block others.

        Its requests wait if the hold ends before they expire. Others are refused: waiting would be useless.
        """
        if not self._ledger.holds:
            return waiting
        residents = list(self._ledger.residents())
        unblocked = []
        for entry in waiting:
            hold = find_blocking_hold(entry, residents, self.budget, now)
            if hold is None:
                unblocked.append(entry)
                continue
            refuses_all = self._queue_settings.on_busy == "reject"
            for ticket in list(entry.waiting.values()):
                if refuses_all or ticket.deadline <= hold.ends:
                    self._refuse(ticket.id, refusals.held_error(entry, hold, now))
        return unblocked


def check_not_held(entry: Entry, now: float) -> None:
    """Raise HoldConflict if somebody holds the model."""
    if entry.holds:
        hold = entry.holds[0]
        raise HoldConflict(
            f'Model "{entry.model.id}" is {hold.describe(now)}. Run `sparkctl release {hold.id}` first.'
        )
