"""What follows from a catalogue for memory: the budget, and what each model reserves of it. All in bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from sparkd.catalog import Catalogue
from sparkd.catalog.definitions import Model
from sparkd.engines import ENGINES
from sparkd.learning.learning import Learning
from sparkd.scheduling.memory import Budget, Footprint, ImpliedFootprint, budget_for, footprint


class Terms(NamedTuple):
    """What the scheduler decides by. `footprint` gives what a model's next launch reserves."""

    budget: Budget
    footprint: Callable[[Model, Budget], Footprint]


def declared_budget(catalogue: Catalogue, found: int) -> Budget:
    """The budget as the catalogue has it, on a machine that was `found` to have so much; nothing learned counts."""
    total = catalogue.settings.memory.total or found
    return budget_for(
        catalogue.models.values(), total, catalogue.settings.memory.reserve, _implied_with(total)
    )


def terms(catalogue: Catalogue, found: int, learning: Learning) -> Terms:
    """The terms on a machine that was `found` to have so much. `learning` goes by the same catalogue."""
    memory = catalogue.settings.memory
    total = memory.total or found
    implied = _implied_with(total)
    budget = budget_for(catalogue.models.values(), total, memory.reserve, implied, learning.footprint)
    return Terms(
        replace(budget, leaked=learning.leaked, slots=memory.main_slots),
        lambda model, budget: footprint(model, budget, implied, learning.footprint),
    )


def _implied_with(total: int) -> ImpliedFootprint:
    return lambda model: ENGINES[model.engine].footprint(model, total)
