"""Which file set a value: tables as files have them, merged in order, each key with its origin."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from msgspec import Struct, field

from sparkd.catalog.messages import join_key


class Origin(NamedTuple):
    """Where a value was set: a file, and the table in it."""

    file: Path
    table: tuple[str, ...]


class Table(Struct):
    """The merged values of one table. `declared_at`: where it begins. `invalid_keys`: keys with an unusable value.

    `origins` has the origin of each key, including the keys of tables in it (`("options", "dtype")`).
    """

    declared_at: Origin
    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[tuple[str, ...], Origin] = field(default_factory=dict)
    invalid_keys: set[str] = field(default_factory=set)

    @property
    def file(self) -> Path:
        """The file where the table begins."""
        return self.declared_at.file

    def merge(self, later: Table) -> None:
        """Merge a later table into this one. Its keys override; tables in it are merged the same way."""
        for name, value in later.values.items():
            self.values[name] = _merge_values(self.values.get(name), value)
        self.origins |= later.origins
        self.invalid_keys |= later.invalid_keys

    def remove_key(self, key: str) -> None:
        """Remove a key and its origin, as if no file had set it."""
        self.values.pop(key, None)
        self.origins = {path: origin for path, origin in self.origins.items() if path[0] != key}

    def origin_of(self, *path: str) -> Origin:
        """Where the effective value of a key, or of a key in a table, was set. Without one: where the table begins."""
        known = (path[:length] for length in range(len(path), 0, -1))
        return next((self.origins[inner] for inner in known if inner in self.origins), self.declared_at)

    def locate_key(self, *path: str) -> tuple[Path, str]:
        """The file that sets the effective value of a key, and the key as that file has it."""
        origin = self.origin_of(*path)
        return origin.file, join_key(*origin.table, *path)


def _merge_values(below: Any, above: Any) -> Any:
    if isinstance(below, dict) and isinstance(above, dict):
        return below | {name: _merge_values(below.get(name), value) for name, value in above.items()}
    return above
