"""Merges a configuration into what a client's file has. Pure: plain data in, plain data out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sparkd.clients.configuration import Items, Path, Removal, Suggestion, strip_suggestions


class MergeConflict(ValueError):
    """The file has another kind of value where the configuration needs a table or a list."""

    def __init__(self, path: Path, needed: str) -> None:
        super().__init__(f"`{'.'.join(path)}` is not {needed}" if path else f"its content is not {needed}")


def merge(existing: Any, content: Any, items: Mapping[Path, Items]) -> Any:
    """Return `existing` with `content`. Whatever the content does not name stays. `existing` is None for a new file.

    Merging the same content again changes nothing. Raises MergeConflict.
    """
    return _merge(existing, content, items, ())


def _merge(existing: Any, content: Any, items: Mapping[Path, Items], path: Path) -> Any:
    if isinstance(content, Suggestion):
        return strip_suggestions(content) if existing is None else existing
    if isinstance(content, Mapping):
        return _merge_table(existing, content, items, path)
    if isinstance(content, (list, tuple)):
        rule = items.get(path)
        return strip_suggestions(content) if rule is None else _merge_list(existing, content, items, path)
    return content


def _merge_table(
    existing: Any, content: Mapping[str, Any], items: Mapping[Path, Items], path: Path
) -> dict[str, Any]:
    if existing is None:
        existing = {}
    if not isinstance(existing, Mapping):
        raise MergeConflict(path, "a table")
    rule = items.get(path)
    is_owned = rule is not None and not rule.key
    merged = {key: value for key, value in existing.items() if key in content or not is_owned}
    for key, value in content.items():
        if isinstance(value, Removal):
            if value.value is None or merged.get(key) == value.value:
                merged.pop(key, None)
            continue
        merged[key] = _merge(existing.get(key), value, items, (*path, key))
    return merged


def _merge_list(existing: Any, content: Sequence[Any], items: Mapping[Path, Items], path: Path) -> list[Any]:
    if existing is None:
        existing = []
    if not isinstance(existing, list):
        raise MergeConflict(path, "a list")
    rule = items[path]
    needed = {item[rule.key]: item for item in content}
    merged: list[Any] = []
    for item in existing:
        if not _belongs(item, rule):
            merged.append(item)
        elif (found := needed.pop(item.get(rule.key), None)) is not None:
            merged.append(_merge(item, found, items, path))
    return [*merged, *(_merge(None, item, items, path) for item in needed.values())]


def _belongs(item: Any, rule: Items) -> bool:
    return isinstance(item, Mapping) and (rule.is_ours is None or rule.is_ours(item))
