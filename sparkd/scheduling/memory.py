"""Memory arithmetic, in bytes: budget = total - reserve - leaked, and what one model takes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final, Literal, NamedTuple

from sparkd.catalog.definitions import Model
from sparkd.catalog.quantities import GIB

ImpliedFootprint = Callable[[Model], int | None]
"""Also what is learned: bytes, None where nothing is known."""

Basis = Literal["learned", "declared", "implied", "guessed"]

FLOOR: Final = 5 * GIB
"""What a GB10 needs to stay alive, as its owners report: with less it may hang before anything can be ended."""


class Footprint(NamedTuple):
    """Bytes to reserve for a model, and what they are based on. "guessed": all that it may have."""

    bytes: int
    basis: Basis


@dataclass(frozen=True, slots=True)
class Budget:
    """What models may take together. `utility` is the place kept for the utility model beside the main one, `leaked`
    never came back; `slots` is how many normal models may be resident at once, None: as many as fit."""

    total: int
    reserve: int
    utility: int = 0
    leaked: int = 0
    slots: int | None = None

    @property
    def bytes(self) -> int:
        """Bytes that models may take together."""
        return max(0, self.total - self.reserve - self.leaked)

    def share(self, model: Model) -> int:
        """Bytes that this model may take when everything evictable is gone."""
        return self.bytes - (self.utility if model.lifecycle == "normal" else 0)

    def within(self, size: int) -> Budget:
        """Return this budget with no more than `size` bytes for models."""
        return self if size >= self.bytes else replace(self, total=size + self.reserve + self.leaked)


def floor_of(total: int) -> int:
    """Bytes that must stay available on a machine of `total` where nobody has said otherwise."""
    return min(FLOOR, total // 16)


def footprint(
    model: Model, budget: Budget, implied: ImpliedFootprint, learned: ImpliedFootprint = lambda _: None
) -> Footprint:
    """Return the bytes to reserve for a model: learned, else declared, else implied by its options, else all it may
    have.

    What is implied is cut to the model's share: an option such as `gpu-memory-utilization` is a wish about the
    whole machine, whereas a declaration is the owner's word and stands, even where it does not fit.
    """
    if (known := learned(model)) is not None:
        return Footprint(known, "learned")
    if model.memory is not None:
        return Footprint(model.memory, "declared")
    guess = implied(model)
    share = budget.share(model)
    return Footprint(share, "guessed") if guess is None else Footprint(min(guess, share), "implied")


def budget_for(
    models: Iterable[Model],
    total: int,
    reserve: int,
    implied: ImpliedFootprint,
    learned: ImpliedFootprint = lambda _: None,
) -> Budget:
    """Return the budget of a machine of `total` bytes, with the utility model's place kept, if there is one."""
    whole = Budget(total, reserve)
    utility = next((model for model in models if model.lifecycle == "utility" and model.enabled), None)
    return Budget(total, reserve, footprint(utility, whole, implied, learned).bytes if utility else 0)
