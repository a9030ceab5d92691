"""Computes the memory budget of a catalogue, and the footprint that each model reserves. All in bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from msgspec.structs import replace

from sparkd.catalog import Catalogue
from sparkd.catalog.definitions import Model
from sparkd.engines import ENGINES
from sparkd.learning.learning import Learning
from sparkd.scheduling.memory import Budget, Footprint, FootprintEstimator, compute_budget, estimate_footprint


class MemoryPolicy(NamedTuple):
    """The memory figures for the scheduler. `footprint` returns what a model's next launch reserves."""

    budget: Budget
    footprint: Callable[[Model, Budget], Footprint]


def declared_budget(catalogue: Catalogue, machine_total: int) -> Budget:
    """Return the budget from the catalogue and the machine's total memory. Ignores learned footprints."""
    total = catalogue.settings.memory.total or machine_total
    return compute_budget(
        catalogue.models.values(), total, catalogue.settings.memory.reserve, _implied_estimator(total)
    )


def memory_policy_for(catalogue: Catalogue, machine_total: int, learning: Learning) -> MemoryPolicy:
    """Return the policy for a machine with this total memory. `learning` must use the same catalogue."""
    memory = catalogue.settings.memory
    total = memory.total or machine_total
    implied = _implied_estimator(total)
    budget = compute_budget(
        catalogue.models.values(), total, memory.reserve, implied, learning.learned_footprint
    )
    return MemoryPolicy(
        replace(budget, leaked=learning.leaked, slots=memory.main_slots),
        lambda model, budget: estimate_footprint(model, budget, implied, learning.learned_footprint),
    )


def _implied_estimator(total: int) -> FootprintEstimator:
    return lambda model: ENGINES[model.engine].implied_footprint(model, total)
