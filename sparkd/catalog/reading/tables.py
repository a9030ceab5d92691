"""One TOML table into typed values, key by key, so that every wrong key is told and not only the first."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from msgspec import NODEFAULT, Struct

from sparkd.catalog.definitions import Model
from sparkd.catalog.nearest import did_you_mean
from sparkd.catalog.origins import Origin, Table
from sparkd.catalog.reading.conversion import Key, Unusable, convert, keys_of
from sparkd.catalog.rewriting import Rewriting
from sparkd.catalog.settings import Settings
from sparkd.catalog.wording import dotted, problem, wrong_value

_NONE: Mapping[str, str] = MappingProxyType({})

FORMER: Mapping[str, str] = MappingProxyType(
    {
        "enabled": '; to switch a model off write status = "disabled" and reason = "…"',
        "disabled_reason": '; write status = "disabled" and reason = "…"',
    }
)
"""Keys that there were once, and what is written now, to end a sentence with."""


class TableReader:
    """Reads the tables of one file. Whatever is wrong goes to `problems`, one line each, and is left out."""

    def __init__(self, file: Path, problems: list[str]) -> None:
        self.file = file
        self.folder = file.absolute().parent
        self.problems = problems

    def tell(self, text: str, value: object, *key: str) -> None:
        """Note a problem with the value of a key."""
        self.problems.append(wrong_value(self.file, dotted(*key), value, text))

    def read(
        self, struct: type[Struct], raw: object, *prefix: str, refused: Mapping[str, str] = _NONE
    ) -> Table:
        """The table `[prefix]`, whose keys are those of `struct` but the `refused`, each with the reason why."""
        table = Table(Origin(self.file, prefix))
        if not isinstance(raw, dict):
            self.tell("expected a table", raw, *prefix)
            return table
        keys = keys_of(struct)
        for name, value in raw.items():
            key = keys.get(name)
            if key is None:
                text = FORMER.get(name) or did_you_mean(name, keys) or homes(name)
                self.tell(f"unknown key{text}", value, *prefix, name)
                continue
            if name in refused:
                self.tell(refused[name], value, *prefix, name)
                continue
            self._read_key(table, key, value, prefix)
        return table

    def _read_key(self, table: Table, key: Key, value: object, prefix: tuple[str, ...]) -> None:
        origin = table.origins[key.name,] = Origin(self.file, prefix)
        if key.rows is not None and isinstance(value, list):
            table.values[key.name] = self._rows(table, key, key.rows, value, prefix)
        elif not isinstance(value, dict) or (key.struct is None and key.items is None):
            self._value(table, key, value, prefix)
        elif key.struct is not None:
            inner = self.read(key.struct, value, *prefix, key.name)
            table.values[key.name] = inner.values
            table.origins |= {(key.name, *path): origin for path in inner.origins}
            table.wrong |= {key.name} if inner.wrong else set()
        elif key.items is not None:
            table.values[key.name] = self._items(table, key.items, value, prefix)
            table.origins |= {(key.name, name): origin for name in value}

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

    def _rows(
        self, table: Table, key: Key, struct: type[Struct], raw: list[object], prefix: tuple[str, ...]
    ) -> tuple[Struct, ...]:
        """The tables of a list of them; in problems the first is called `key.1`."""
        rows: list[Struct] = []
        for number, one in enumerate(raw, start=1):
            place = (*prefix, key.name, str(number))
            told = len(self.problems)
            row = self.read(struct, one, *place)
            given = one if isinstance(one, dict) else {}
            for needed in keys_of(struct).values() if given else ():
                if needed.default is NODEFAULT and needed.name not in given:
                    self.problems.append(problem(self.file, dotted(*place), f'needs a key "{needed.name}"'))
            if len(self.problems) == told:
                rows.append(struct(**row.values))
            else:
                table.wrong.add(key.name)
        return tuple(rows)


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
