"""Converts a TOML table into typed values, key by key, so that every wrong key is reported, not just the first."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from msgspec import NODEFAULT, Struct

from sparkd.catalog.client_rules import ClientRule
from sparkd.catalog.definitions import Model
from sparkd.catalog.key_rules import KeyRules
from sparkd.catalog.messages import format_problem, format_value_problem, join_key
from sparkd.catalog.nearest import did_you_mean
from sparkd.catalog.origins import Origin, Table
from sparkd.catalog.reading.conversion import InvalidValue, Key, convert, keys_of
from sparkd.catalog.rewriting import Rewriting
from sparkd.catalog.settings import Settings

_NO_KEYS: Mapping[str, str] = MappingProxyType({})

REMOVED_KEYS: Mapping[str, str] = MappingProxyType(
    {
        "enabled": '; to disable a model, set status = "disabled" and reason = "…"',
        "disabled_reason": '; set status = "disabled" and reason = "…"',
    }
)
"""Former keys and their replacements, as the end of a sentence."""


class TableReader:
    """Reads the tables of one file. Problems go to `problems`, one line each; their values are left out."""

    def __init__(self, file: Path, problems: list[str]) -> None:
        self.file = file
        self.folder = file.absolute().parent
        self.problems = problems

    def add_problem(self, text: str, value: object, *key: str) -> None:
        """Add a problem with the value of a key."""
        self.problems.append(format_value_problem(self.file, join_key(*key), value, text))

    def read(
        self, struct: type[Struct], raw: object, *prefix: str, forbidden: Mapping[str, str] = _NO_KEYS
    ) -> Table:
        """Read the table `[prefix]` with the keys of `struct`, except `forbidden`, which has a reason for each key."""
        table = Table(Origin(self.file, prefix))
        if not isinstance(raw, dict):
            self.add_problem("expected a table", raw, *prefix)
            return table
        keys = keys_of(struct)
        for name, value in raw.items():
            key = keys.get(name)
            if key is None:
                text = REMOVED_KEYS.get(name) or did_you_mean(name, keys) or suggest_table(name)
                self.add_problem(f"unknown key{text}", value, *prefix, name)
                continue
            if name in forbidden:
                self.add_problem(forbidden[name], value, *prefix, name)
                continue
            self._read_key(table, key, value, prefix)
        return table

    def _read_key(self, table: Table, key: Key, value: object, prefix: tuple[str, ...]) -> None:
        origin = table.origins[key.name,] = Origin(self.file, prefix)
        if key.rows is not None and isinstance(value, list):
            table.values[key.name] = self._read_rows(table, key, key.rows, value, prefix)
        elif not isinstance(value, dict) or (key.struct is None and key.items is None):
            self._read_value(table, key, value, prefix)
        elif key.struct is not None:
            inner = self.read(key.struct, value, *prefix, key.name)
            table.values[key.name] = inner.values
            table.origins |= {(key.name, *path): origin for path in inner.origins}
            table.invalid_keys |= {key.name} if inner.invalid_keys else set()
        elif key.items is not None:
            table.values[key.name] = self._read_items(table, key.items, value, prefix)
            table.origins |= {(key.name, name): origin for name in value}

    def _read_value(self, table: Table, key: Key, raw: object, prefix: tuple[str, ...]) -> None:
        try:
            table.values[key.name] = convert(key, raw, self.folder)
        except InvalidValue as problem:
            table.invalid_keys.add(key.name)
            self.add_problem(str(problem), raw, *prefix, key.name)

    def _read_items(
        self, table: Table, item: Key, raw: dict[str, object], prefix: tuple[str, ...]
    ) -> dict[str, Any]:
        values = {}
        for name, value in raw.items():
            try:
                values[name] = convert(item, value, self.folder)
            except InvalidValue as problem:
                table.invalid_keys.add(item.name)
                self.add_problem(str(problem), value, *prefix, item.name, name)
        return values

    def _read_rows(
        self, table: Table, key: Key, struct: type[Struct], raw: list[object], prefix: tuple[str, ...]
    ) -> tuple[Struct, ...]:
        """Read a list of tables. Problems call the first one `key.1`."""
        rows: list[Struct] = []
        for number, one in enumerate(raw, start=1):
            place = (*prefix, key.name, str(number))
            problems_before = len(self.problems)
            row = self.read(struct, one, *place)
            given = one if isinstance(one, dict) else {}
            for needed in keys_of(struct).values() if given else ():
                if needed.default is NODEFAULT and needed.name not in given:
                    self.problems.append(
                        format_problem(self.file, join_key(*place), f'needs a key "{needed.name}"')
                    )
            if len(self.problems) == problems_before:
                rows.append(struct(**row.values))
            else:
                table.invalid_keys.add(key.name)
        return tuple(rows)


SETTINGS: dict[str, type[Struct]] = {key.name: key.type for key in keys_of(Settings).values()}
"""The tables of settings and their types."""

NAMED: dict[str, type[Struct]] = {"keys": KeyRules, "clients": ClientRule}
"""Tables of tables beside those of models, and the type of each table in them."""


def suggest_table(name: str) -> str:
    """Where a key with that name belongs, as the end of a sentence, or an empty string."""
    tables = [f"[{table}]" for table, struct in SETTINGS.items() if name in keys_of(struct)]
    if name in keys_of(Model):
        tables.append("[models.<id>]")
    tables += [f"[{kind}.<name>]" for kind, struct in NAMED.items() if name in keys_of(struct)]
    if name in keys_of(Rewriting):
        tables.append("[models.<id>.rewriting]")
    return f"; it belongs in {' or '.join(tables)}" if tables else ""
