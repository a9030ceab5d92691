"""Which file set a value: tables as files have them, merged in order, each key with its origin."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from sparkd.catalog.wording import dotted


class Origin(NamedTuple):
    """Who said a value: a file, and the table in it."""

    file: Path
    table: tuple[str, ...]


@dataclass(slots=True)
class Table:
    """What files say in one table. `begun`: where it begins; `wrong`: the keys whose value is not usable.

    `origins` knows who said what, also of the keys of tables in it (`("options", "dtype")`).
    """

    begun: Origin
    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[tuple[str, ...], Origin] = field(default_factory=dict)
    wrong: set[str] = field(default_factory=set)

    @property
    def file(self) -> Path:
        """The file where the table begins."""
        return self.begun.file

    def lay(self, later: Table) -> None:
        """Lay a later table over this one: its keys win, and tables in it are laid over tables in turn."""
        for name, value in later.values.items():
            self.values[name] = _laid(self.values.get(name), value)
        self.origins |= later.origins
        self.wrong |= later.wrong

    def forget(self, key: str) -> None:
        """Make it as if nobody had said anything about a key."""
        self.values.pop(key, None)
        self.origins = {path: origin for path, origin in self.origins.items() if path[0] != key}

    def origin(self, *path: str) -> Origin:
        """Who has the last word on a key, or on a key of a table in it; else where the table begins."""
        known = (path[:length] for length in range(len(path), 0, -1))
        return next((self.origins[inner] for inner in known if inner in self.origins), self.begun)

    def place(self, *path: str) -> tuple[Path, str]:
        """The file that has the last word on a key, and the key as it stands there."""
        origin = self.origin(*path)
        return origin.file, dotted(*origin.table, *path)


def _laid(below: Any, above: Any) -> Any:
    if isinstance(below, dict) and isinstance(above, dict):
        return below | {name: _laid(below.get(name), value) for name, value in above.items()}
    return above
