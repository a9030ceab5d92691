"""Models that are loaded without a request: when sparkd starts, and whenever the memory that they need is free again.

Such a start evicts nothing and delays nobody: it begins while no request waits, in memory that is free, and ends if a
request for another model arrives (background.py). A model that has failed, that is in quarantine because it was
starting when the machine froze, or that an operator has unloaded, is not loaded until somebody requests it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sparkd.catalog.definitions import Model
from sparkd.scheduling.background import BackgroundPolicy
from sparkd.scheduling.ledger import Entry
from sparkd.scheduling.lifecycle import State


class PreloadPolicy(BackgroundPolicy):
    """Decides about models without requests. SchedulingPolicy, its subclass, decides for all others.

    `_preloads` has the models with `preload`, in the catalogue's order, and is empty until sparkd serves.
    """

    _can_preload: Callable[[Model], bool] | None = None
    _preloads: Sequence[str] = ()

    def _launch_preloads(self, now: float) -> None:
        """Launch the first of these models that is stopped and fits beside what runs."""
        if not self._preloads or self._closing_error or self._ledger.queue:
            return
        ledger = self._ledger
        for model_id in self._preloads:
            entry = ledger.active.get(model_id) or ledger.inactive.get(model_id)
            if entry and self._is_wanted(entry) and self._can_launch_in_background(entry):
                ledger.activate(entry)
                entry.is_preload = self._launch_if_possible(entry, now)
                return

    def _is_wanted(self, entry: Entry) -> bool:
        if entry.state is not State.STOPPED or self._can_preload is None:
            return False
        is_suspect = entry.failures or entry.guard_kills
        return not (is_suspect or entry.is_dismissed or entry.withdrawn) and self._can_preload(entry.model)
