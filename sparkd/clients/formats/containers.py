"""Changes the tables and lists of a library that remembers comments and layout."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, MutableSequence
from typing import Any

from sparkd.clients.formats.values import align, is_same


def change_table(table: MutableMapping[str, Any], old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Change a table that has the content `old`, as plain data, into one with `new`."""
    for key in [key for key in old if key not in new]:
        del table[key]
    for key, value in new.items():
        if key not in old or (not is_same(old[key], value) and not _change(table[key], old[key], value)):
            table[key] = value


def _change_list(items: MutableSequence[Any], old: list[Any], new: list[Any]) -> None:
    indices = align(old, new)
    for position in reversed(range(len(old))):
        index = indices[position]
        if index is None:
            del items[position]
        elif not is_same(old[position], new[index]) and not _change(
            items[position], old[position], new[index]
        ):
            items[position] = new[index]
    kept = sum(index is not None for index in indices)
    for value in new[kept:]:
        items.append(value)


def _change(container: Any, old: Any, new: Any) -> bool:
    """Change what is inside, if both are tables or both are lists."""
    if isinstance(old, Mapping) and isinstance(new, Mapping) and isinstance(container, MutableMapping):
        change_table(container, old, new)
        return True
    if isinstance(old, list) and isinstance(new, list) and isinstance(container, MutableSequence):
        _change_list(container, old, new)
        return True
    return False
