"""How long loads take, and where those that are under way are: past loads and the logs of the runs together."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sparkd.catalog.definitions import Model
from sparkd.engines.engine import Milestone
from sparkd.learning.learning import Learning
from sparkd.learning.load_estimates import LoadEstimate
from sparkd.scheduling.ledger import Entry
from sparkd.supervising.downloads import Downloads
from sparkd.supervising.run import Run


class LoadWatch:
    """Estimates for the loads of one daemon. `runs` are its launched runs by number.

    `can_start_warm`: whether the engine of the model would be forked from a launcher now.
    """

    def __init__(
        self,
        runs: Mapping[int, Run],
        learning: Learning,
        downloads: Downloads,
        can_start_warm: Callable[[Model], bool],
    ) -> None:
        self._runs = runs
        self._learning = learning
        self._downloads = downloads
        self._can_start_warm = can_start_warm

    def expected(self, model: Model) -> float | None:
        """Return the seconds that the next load of the model takes. None if nothing is known."""
        estimate = self._estimate(model, is_warm=self._can_start_warm(model))
        return estimate.seconds if estimate else None

    def left(self, entry: Entry, now: float) -> float | None:
        """Return the seconds until a model that loads now is ready. None if nothing is known."""
        run, estimate = self._runs.get(entry.run), self.estimate(entry)
        return estimate.left(run.load_position(entry.since, now)) if run and estimate else None

    def estimate(self, entry: Entry) -> LoadEstimate | None:
        """Return what a load that is under way usually takes, in total and by phase. None if nothing is known."""
        run = self._runs.get(entry.run)
        return self._estimate(run.model, is_warm=run.is_warm) if run else None

    def usual(self, entry: Entry) -> float | None:
        """Return the seconds that a load which is under way takes in total. None if nothing is known."""
        run = self._runs.get(entry.run)
        estimate = self._estimate(run.model, is_warm=run.is_warm) if run else None
        return estimate.seconds if estimate else None

    def step(self, entry: Entry) -> Milestone | None:
        """Return the step of a load that is under way. None if unknown."""
        run = self._runs.get(entry.run)
        return run.milestone if run else None

    def _estimate(self, model: Model, *, is_warm: bool) -> LoadEstimate | None:
        return self._learning.estimate_load(model, is_warm=is_warm, size=self._downloads.size(model.id))
