"""One TOML table into typed values, key by key, so that every wrong key is told and not only the first."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msgspec import Struct

from sparkd.catalog.conversion import Key, Unusable, convert, keys_of
from sparkd.catalog.definitions import Model, Settings
from sparkd.catalog.nearest import did_you_mean
from sparkd.catalog.rewriting import Rewriting
from sparkd.catalog.wording import dotted, wrong_value


@dataclass(slots=True)
class Table:
    """What files say in one table. `files` knows who said what; `wrong`: the keys whose value is not usable."""

    file: Path
    values: dict[str, Any] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)
    wrong: set[str] = field(default_factory=set)

    def lay(self, later: Table) -> None:
        """Lay a later table over this one: its keys win, and tables in it are laid over tables in turn."""
        for name, value in later.values.items():
            self.values[name] = _laid(self.values.get(name), value)
        self.files |= later.files
        self.wrong |= later.wrong

    def file_of(self, key: str) -> Path:
        """The file that has the last word on a key, else the one where the table begins."""
        return self.files.get(key, self.file)


class TableReader:
    """Reads the tables of one file. Whatever is wrong goes to `problems`, one line each, and is left out."""

    def __init__(self, file: Path, problems: list[str]) -> None:
        self.file = file
        self.folder = file.absolute().parent
        self.problems = problems

    def tell(self, text: str, value: object, *key: str) -> None:
        """Note a problem with the value of a key."""
        self.problems.append(wrong_value(self.file, dotted(*key), value, text))

    def read(self, struct: type[Struct], raw: object, *prefix: str) -> Table:
        """The table `[prefix]`, whose keys are those of `struct`."""
        table = Table(self.file)
        if not isinstance(raw, dict):
            self.tell("expected a table", raw, *prefix)
            return table
        keys = keys_of(struct)
        for name, value in raw.items():
            key = keys.get(name)
            if key is None:
                self.tell(f"unknown key{did_you_mean(name, keys) or homes(name)}", value, *prefix, name)
                continue
            table.files[name] = self.file
            if key.struct is not None and isinstance(value, dict):
                inner = self.read(key.struct, value, *prefix, name)
                table.values[name] = inner.values
                table.wrong |= {name} if inner.wrong else set()
            elif key.items is not None and isinstance(value, dict):
                table.values[name] = self._items(table, key.items, value, prefix)
            else:
                self._value(table, key, value, prefix)
        return table

    def _value(self, table: Table, key: Key, raw: object, prefix: tuple[str, ...]) -> None:
        try:
            table.values[key.name] = convert(key, raw, self.folder)
        except Unusable as problem:
            table.wrong.add(key.name)
            self.tell(str(problem), raw, *prefix, key.name)

    def _items(
        self, table: Table, item: Key, raw: dict[str, object], prefix: tuple[str, ...]
    ) -> dict[str, Any]:
        values = {}
        for name, value in raw.items():
            try:
                values[name] = convert(item, value, self.folder)
            except Unusable as problem:
                table.wrong.add(item.name)
                self.tell(str(problem), value, *prefix, item.name, name)
        return values


def _laid(below: Any, above: Any) -> Any:
    if isinstance(below, dict) and isinstance(above, dict):
        return below | {name: _laid(below.get(name), value) for name, value in above.items()}
    return above


SETTINGS: dict[str, type[Struct]] = {key.name: key.type for key in keys_of(Settings).values()}
"""The tables of settings and what each becomes."""


def homes(name: str) -> str:
    """Where a key of that name belongs, to end a sentence with, or nothing."""
    tables = [f"[{table}]" for table, struct in SETTINGS.items() if name in keys_of(struct)]
    if name in keys_of(Model):
        tables.append("[models.<id>]")
    if name in keys_of(Rewriting):
        tables.append("[models.<id>.rewriting]")
    return f"; it belongs in {' or '.join(tables)}" if tables else ""
