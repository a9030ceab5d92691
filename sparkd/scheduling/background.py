"""Models that only background requests wait for, and starts that nobody waits for any more.

Neither evicts a model, and neither delays anybody: a model is launched for the background into memory that is free,
while no other request waits for a stopped model. If another model's turn comes meanwhile, such a start ends. A start
whose clients have left continues, unless another model needs its memory; while the place of one of them is kept, it
continues in any case. A start that never had a request ends for any other model's.
"""

from __future__ import annotations

from sparkd.scheduling import refusals
from sparkd.scheduling.evictions import choose_evictions, fits
from sparkd.scheduling.holding import HoldPolicy
from sparkd.scheduling.ledger import Entry
from sparkd.scheduling.lifecycle import State
from sparkd.scheduling.residency import RELEASE_TIME, Demand, eviction_time, load_time


class BackgroundPolicy(HoldPolicy):
    """Decides about what nobody waits for in the queue. PreloadPolicy, its subclass, adds models without requests."""

    _demand: Demand

    def _launch_in_background(self, now: float) -> None:
        """Launch a model that background requests wait for, into free memory. Others wait until it is ready anyway."""
        for entry in self._ledger.background_models():
            if self._can_launch_in_background(entry):
                self._launch_if_possible(entry, now)
            elif self._queue_settings.on_busy == "reject":
                error = refusals.background_error(entry, list(self._ledger.residents()))
                self._refuse_waiting(entry, lambda error=error: error)  # type: ignore[misc]

    def _can_launch_in_background(self, entry: Entry) -> bool:
        """Whether the model could be launched now without an eviction and without a delay for another request."""
        residents = list(self._ledger.residents())
        return (
            not self._ledger.waiting_models()
            and all(each.state is State.READY for each in residents)
            and fits(entry, residents, self._available_budget(entry, residents).beside_launchers())
        )

    def _end_unwanted_start(self, starting: Entry, head: Entry, now: float) -> bool:
        """End a start that no request waits for, or only background requests, if it is in the way of the head.

        Return whether it was ended.
        """
        is_wanted = (
            starting.waiting_weight or self._ledger.places.kept_until(starting.model.id, now) is not None
        )
        if is_wanted or starting.model.pinned or starting.holds:
            return False
        others = [each for each in self._ledger.residents() if each is not starting]
        if starting.waiting or starting.is_preload:
            is_in_the_way = load_time(starting) - (now - starting.since) > RELEASE_TIME
        else:
            residents = [*others, starting]
            is_in_the_way = not fits(head, residents, self._available_budget(head, residents))
        if not is_in_the_way:
            return False
        leaving = choose_evictions(head, others, self.budget, now)
        if leaving is None or any(now < eviction_time(each, head, self._demand, now) for each in leaving):
            return False
        reason = f"no request waits for it, and it is in the way of {head.model.id}"
        self._evict(starting, now, "evicted", reason, evicted_for=head.model.id)
        return True
