"""Facts about all models of a large catalogue at once. Cheap: only models that were used cost anything."""

from __future__ import annotations

import time
from collections.abc import Mapping
from statistics import median

from msgspec import Struct

from sparkd.catalog.definitions import Model
from sparkd.engines.engine import Command
from sparkd.learning.learning import Learning
from sparkd.learning.load_estimates import PastLoad
from sparkd.scheduling.memory import Basis, Footprint
from sparkd.scheduling.scheduler import Scheduler
from sparkd.scheduling.status import StateName
from sparkd.supervising.launching import preview_command
from sparkd.supervising.supervisor import Supervisor


class UsedModel(Struct, frozen=True):
    """What is known of a model that was used since sparkd started. `last_used` is a time, None if unknown."""

    state: StateName
    quarantined: bool
    footprint: int
    basis: Basis
    last_used: float | None
    held: bool


class ModelFacts:
    """Reads the scheduler and what was learned."""

    def __init__(self, supervisor: Supervisor, scheduler: Scheduler, learning: Learning) -> None:
        self._supervisor = supervisor
        self._scheduler = scheduler
        self._learning = learning

    def used(self) -> dict[str, UsedModel]:
        """The models that were used since sparkd started, by id."""
        clock = time.time() - time.monotonic()
        return {
            entry.model.id: UsedModel(
                entry.state.value,
                entry.is_quarantined,
                entry.footprint,
                entry.basis,
                round(clock + entry.last_used) if entry.last_used else None,
                bool(entry.holds),
            )
            for entry in self._scheduler.entries()
        }

    def footprint(self, model: Model) -> Footprint:
        """What the model's next launch reserves."""
        return self._scheduler.footprint(model)

    def load_times(self) -> Mapping[str, float]:
        """The median of the seconds that the recorded loads of each model took."""
        seconds: dict[str, list[float]] = {}
        for (model, _), loads in self._learning.all_loads().items():
            seconds.setdefault(model, []).extend(load.seconds for load in loads)
        return {model: median(each) for model, each in seconds.items() if each}

    def loads(self, model: Model) -> list[PastLoad]:
        """The recorded loads of the model as it is defined now, the oldest first."""
        return self._learning.loads(model)

    def preview_command(self, model: Model) -> Command:
        """The command that would start the model's engine now. Raises LaunchError."""
        allowance = self._learning.allowance(model), self._learning.total
        return preview_command(model, self._supervisor.catalogue, allowance)
