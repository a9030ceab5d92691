"""Compares plain data, and finds out how one list became another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

NAMES = ("id", "name", "model_name", "model")
"""Fields that identify an item of a list."""


def is_same(one: Any, other: Any) -> bool:
    """Whether two values are equal, where 1, 1.0 and true are three."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(is_same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_same, one, other))
    return bool(type(one) is type(other) and one == other)


def align(old: Sequence[Any], new: Sequence[Any]) -> list[int | None]:
    """For each item of `old`, the index of the item of `new` that it became; None if it is gone.

    Items keep their order. What `new` has after the last of these is added at the end.
    """
    found: list[int | None] = []
    position = 0
    for item in old:
        is_kept = position < len(new) and _is_version_of(new[position], item)
        found.append(position if is_kept else None)
        position += is_kept
    return found


def _is_version_of(new: Any, old: Any) -> bool:
    if is_same(new, old):
        return True
    if not (isinstance(new, Mapping) and isinstance(old, Mapping)):
        return False
    identities = [(new.get(name), old.get(name)) for name in NAMES if name in new or name in old]
    return bool(identities) and identities[0][0] == identities[0][1]
