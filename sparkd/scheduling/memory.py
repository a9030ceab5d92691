"""Memory arithmetic, in bytes: budget = total - reserve - leaked, and the footprint of each model."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, Literal, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from sparkd.catalog.definitions import Model
from sparkd.catalog.quantities import GIB

FootprintEstimator = Callable[[Model], int | None]
"""Returns bytes, None if unknown. Learned footprints have the same type."""

Basis = Literal["learned", "declared", "implied", "guessed"]

MAX_DEFAULT_FLOOR: Final = 5 * GIB
"""What a GB10 needs to keep running, as its owners report. With less it may hang before a process can be killed."""


class Footprint(NamedTuple):
    """Bytes to reserve for a model, and where they come from. "guessed": everything that it may use."""

    bytes: int
    basis: Basis


class Budget(Struct, frozen=True):
    """What all models may use. `utility` is kept free for the utility model. `leaked` was not freed after its process
    ended. `launchers` is what launchers use: they end before they make a launch impossible. `slots` is the largest
    number of normal models that may be resident; None: as many as fit."""

    total: int
    reserve: int
    utility: int = 0
    leaked: int = 0
    launchers: int = 0
    slots: int | None = None

    @property
    def bytes(self) -> int:
        """Bytes that all models may use when no launchers are left."""
        return max(0, self.total - self.reserve - self.leaked)

    def limit_for(self, model: Model) -> int:
        """Bytes that this model may use when everything evictable is evicted."""
        return self.bytes - (self.utility if model.lifecycle == "normal" else 0)

    def beside_launchers(self) -> Budget:
        """Return the budget while the launchers keep their memory."""
        return replace(self, reserve=self.reserve + self.launchers, launchers=0)

    def limited_to(self, size: int) -> Budget:
        """Return this budget with at most `size` bytes for models."""
        return self if size >= self.bytes else replace(self, total=size + self.reserve + self.leaked)


def default_floor(total: int) -> int:
    """Bytes that must stay available on a machine of `total` bytes, unless `memory.floor` is set."""
    return min(MAX_DEFAULT_FLOOR, total // 16)


def estimate_footprint(
    model: Model, budget: Budget, implied: FootprintEstimator, learned: FootprintEstimator = lambda _: None
) -> Footprint:
    """Return the bytes to reserve for a model: learned, declared, implied by its options, or all that it may use.

    An implied footprint is limited to the model's share, because an option such as `gpu-memory-utilization` is about
    the whole machine. A declared footprint is never changed, even if it does not fit.
    """
    if (known := learned(model)) is not None:
        return Footprint(known, "learned")
    if model.memory is not None:
        return Footprint(model.memory, "declared")
    guess = implied(model)
    share = budget.limit_for(model)
    return Footprint(share, "guessed") if guess is None else Footprint(min(guess, share), "implied")


def compute_budget(
    models: Iterable[Model],
    total: int,
    reserve: int,
    implied: FootprintEstimator,
    learned: FootprintEstimator = lambda _: None,
) -> Budget:
    """Return the budget of a machine of `total` bytes, with memory kept for the utility model if there is one."""
    full_budget = Budget(total, reserve)
    utility = next((model for model in models if model.lifecycle == "utility" and model.enabled), None)
    return Budget(
        total, reserve, estimate_footprint(utility, full_budget, implied, learned).bytes if utility else 0
    )
