"""Results that are computed once for bytes that many requests have: agents send the same tools with every request."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Concatenate, Final, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

MAX_REMEMBERED: Final = 32
"""Results that are kept of a function: about as many as agents work at once."""

MAX_SIZE: Final = 128 * 1024
"""Bytes of the longest value whose result is kept."""


def remember(compute: Callable[Concatenate[bytes, P], T]) -> Callable[Concatenate[bytes, P], T]:
    """A function that keeps its last results. It must depend only on its arguments, and nobody may change
    its results."""
    cached = lru_cache(maxsize=MAX_REMEMBERED)(compute)

    def compute_once(data: bytes, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return (cached if len(data) <= MAX_SIZE else compute)(data, *args, **kwargs)  # type: ignore[arg-type]

    return compute_once
