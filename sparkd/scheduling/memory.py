"""Memory arithmetic, in bytes: budget = total - reserve, and what one model takes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sparkd.catalog.definitions import Model

ImpliedFootprint = Callable[[Model], int | None]


@dataclass(frozen=True, slots=True)
class Budget:
    """What models may take together. `utility` is the place kept for the utility model beside the main one."""

    total: int
    reserve: int
    utility: int = 0

    @property
    def bytes(self) -> int:
        """Bytes that models may take together."""
        return max(0, self.total - self.reserve)

    def share(self, model: Model) -> int:
        """Bytes that this model may take when everything evictable is gone."""
        return self.bytes - (self.utility if model.lifecycle == "normal" else 0)


def footprint(model: Model, budget: Budget, implied: ImpliedFootprint) -> int:
    """Return the bytes to reserve for a model: declared, else implied by its options, else all it may have.

    What is implied is cut to the model's share: an option such as `gpu-memory-utilization` is a wish about the
    whole machine, whereas a declaration is the owner's word and stands, even where it does not fit.
    """
    if model.memory is not None:
        return model.memory
    guess = implied(model)
    share = budget.share(model)
    return share if guess is None else min(guess, share)


def budget_for(models: Iterable[Model], total: int, reserve: int, implied: ImpliedFootprint) -> Budget:
    """Return the budget of a machine of `total` bytes, with the utility model's place kept, if there is one."""
    whole = Budget(total, reserve)
    utility = next((model for model in models if model.lifecycle == "utility" and model.enabled), None)
    return Budget(total, reserve, footprint(utility, whole, implied) if utility else 0)
