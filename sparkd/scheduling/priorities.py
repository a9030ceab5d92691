"""What a priority is worth: how much earlier a request's turn comes, and how much its waiting counts.

A step of priority is worth an eighth of `max_wait` of waiting: a request has its turn as if it had arrived that much
earlier. So the order of two waiting requests never changes, and a request waits behind more important ones only if they
arrived less than an eighth of `max_wait` later for each step between them. Of any two requests of which one arrived a
quarter of `max_wait` earlier, that one has its turn first: none waits forever.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sparkd.catalog.priority import Priority
from sparkd.scheduling.claim import Claim

AGEING_SHARE: Final = 1 / 8
"""The part of `max_wait` that one step of priority is worth, as waiting."""

_STEPS: Final[Mapping[Priority, int]] = {"high": 1, "normal": 0, "low": -1}

WEIGHTS: Final[Mapping[Priority, float]] = {"high": 16.0, "normal": 1.0, "low": 1 / 16}
"""How many normal requests one request counts as, when memory changes hands. Powers of 2: sums are exact."""

BACKGROUND: Final = -2
"""The importance of a background request: less than any priority."""


def weight(claim: Claim) -> float:
    """How many normal requests a request with this claim counts as; 0 in the background."""
    return 0.0 if claim.background else WEIGHTS[claim.priority]


def rank(arrived: float, claim: Claim, max_wait: float) -> float:
    """When a request of normal priority with the same turn would have arrived. The lowest one is served first."""
    return arrived - AGEING_SHARE * max_wait * _STEPS[claim.priority]


def importance(claim: Claim) -> int:
    """How important the request is beside others: the least important one is refused if too many wait."""
    return BACKGROUND if claim.background else _STEPS[claim.priority]
