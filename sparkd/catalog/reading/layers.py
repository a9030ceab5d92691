"""Merges files: the catalogue first, then its drop-ins in the order of their names.

If two files set a setting, a choice, or a key of `[runtimes.<name>]`, `[families.<name>]`, `[keys.<name>]` or
`[clients.<name>]`, the later file overrides. A model is defined once; a drop-in changes its keys under
`[changes.<id>]`. So nobody changes a shipped model by choosing its name by accident, and a misspelt id is reported.

The keys of a model come from its runtime, overridden by its family, by the model itself and by the changes. A family
may set the runtime.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeGuard

from msgspec import Struct, field

from sparkd.catalog.choices import ChoiceTable
from sparkd.catalog.definitions import Model
from sparkd.catalog.messages import format_problem, format_value_problem, join_key
from sparkd.catalog.names import KEY_NAME_RULE, NAME_RULE, is_id, is_key_name
from sparkd.catalog.nearest import did_you_mean
from sparkd.catalog.origins import Origin, Table
from sparkd.catalog.reading.conversion import keys_of
from sparkd.catalog.reading.tables import NAMED, SETTINGS, TableReader, suggest_table

MODELS = "models"
CHANGES = "changes"
RUNTIMES = "runtimes"
FAMILIES = "families"
KEYS = "keys"
CLIENTS = "clients"
CHOICES = "choices"
TABLES = (*SETTINGS, *NAMED, RUNTIMES, FAMILIES, MODELS, CHANGES, CHOICES)
"""Every table that a catalogue file may have."""

_PER_MODEL_ONLY = "each model sets its own; put it into [models.<id>]"
FORBIDDEN_KEYS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        FAMILIES: {
            "aliases": _PER_MODEL_ONLY,
            "source": _PER_MODEL_ONLY,
            "family": "a family cannot have a family",
        },
        RUNTIMES: {
            "aliases": _PER_MODEL_ONLY,
            "source": _PER_MODEL_ONLY,
            "family": "families override runtimes; put it into [models.<id>]",
            "runtime": "the name of the table is the runtime",
        },
    }
)
"""Keys of models that tables of defaults must not have, and the reason."""


class Layers(Struct):
    """The files merged so far. Problems go to `problems`, one line each."""

    catalogue: Path
    problems: list[str] = field(default_factory=list)
    settings: dict[str, Table] = field(default_factory=dict)
    models: dict[str, Table] = field(default_factory=dict)
    defaults: dict[str, dict[str, Table]] = field(default_factory=dict)
    named: dict[str, dict[str, Table]] = field(default_factory=dict)
    changes: list[tuple[str, Table]] = field(default_factory=list)
    choices: Table = field(default_factory=lambda: Table(Origin(Path(), ())))

    def __post_init__(self) -> None:
        self.choices = Table(Origin(self.catalogue, ()))
        self.settings = {name: Table(Origin(self.catalogue, (name,))) for name in SETTINGS}
        self.defaults = {RUNTIMES: {}, FAMILIES: {}}
        self.named = {name: {} for name in NAMED}

    def merge(self, file: Path, tables: Mapping[str, Any]) -> None:
        """Merge one more file over the earlier files."""
        reader = TableReader(file, self.problems)
        for name, raw in tables.items():
            if name in SETTINGS:
                self.settings[name].merge(reader.read(SETTINGS[name], raw, name))
            elif name not in TABLES:
                meant, belongs = did_you_mean(name, TABLES), suggest_table(name)
                is_table = isinstance(raw, dict)
                text = f"unknown table{meant or belongs}" if is_table else f"unknown key{belongs or meant}"
                reader.add_problem(text, raw, name)
            elif name == CHOICES:
                self.choices.merge(reader.read(ChoiceTable, {CHOICES: raw}))
            elif not isinstance(raw, dict):
                reader.add_problem("expected a table of tables", raw, name)
            else:
                merge = self._merge_named if name in NAMED else self._merge_entry
                for id_, keys in raw.items():
                    merge(reader, name, id_, keys)

    def _merge_named(self, reader: TableReader, kind: str, name: str, raw: object) -> None:
        is_valid, rule = (is_key_name, KEY_NAME_RULE) if kind == KEYS else (is_id, NAME_RULE)
        if not is_valid(name):
            self.problems.append(format_problem(reader.file, join_key(kind, name), f"expected {rule}"))
            return
        table = reader.read(NAMED[kind], raw, kind, name)
        self.named[kind].setdefault(name, Table(table.declared_at)).merge(table)

    def _merge_entry(self, reader: TableReader, kind: str, id_: str, raw: object) -> None:
        if not isinstance(raw, dict):
            reader.add_problem("expected a table", raw, kind, id_)
        elif _is_split_name(raw):
            full_name = ".".join((id_, *_split_name(raw)))
            text = f"put a name with a dot in quotes: [{join_key(kind, full_name)}]"
            self.problems.append(format_problem(reader.file, join_key(kind, id_), text))
        elif not is_id(id_):
            self.problems.append(format_problem(reader.file, join_key(kind, id_), f"expected {NAME_RULE}"))
        elif kind == CHANGES:
            self.changes.append((id_, reader.read(Model, raw, kind, id_)))
        elif kind in self.defaults:
            table = reader.read(Model, raw, kind, id_, forbidden=FORBIDDEN_KEYS[kind])
            merge_model(self.defaults[kind].setdefault(id_, Table(table.declared_at)), table)
        elif id_ in self.models:
            text = f"already defined in {self.models[id_].file}; to change its keys, use [{join_key(CHANGES, id_)}]"
            self.problems.append(format_problem(reader.file, join_key(kind, id_), text))
        else:
            self.models[id_] = reader.read(Model, raw, kind, id_)

    def resolve_models(self, *, complete: bool) -> None:
        """Compute the final models after every file is merged. `complete`: every file was readable."""
        for id_, change in self.changes:
            if id_ in self.models:
                merge_model(self.models[id_], change)
            elif complete:
                text = f'there is no model "{id_}" to change{did_you_mean(id_, self.models)}'
                self.problems.append(format_problem(change.file, join_key(CHANGES, id_), text))
        self.changes.clear()
        for id_, own in self.models.items():
            self.models[id_] = self._with_defaults(own, complete=complete)

    def _with_defaults(self, own: Table, *, complete: bool) -> Table:
        families, runtimes = self.defaults[FAMILIES], self.defaults[RUNTIMES]
        merged = Table(own.declared_at)
        name = own.values.get("family")
        family = families.get(name) if name is not None else None
        if family is None and name is not None and complete:
            meant = did_you_mean(name, families) or f"; define it in [{join_key(FAMILIES, name)}]"
            self.problems.append(
                format_value_problem(*own.locate_key("family"), name, f"there is no such family{meant}")
            )
        runtime = own.values.get("runtime", family.values.get("runtime") if family else None)
        for table in (runtimes.get(runtime or ""), family, own):
            if table is not None:
                merge_model(merged, table)
        return merged


def merge_model(below: Table, above: Table) -> None:
    """Merge a table of a model over another. A new status drops the reason of the old one."""
    if "status" in above.values:
        below.remove_key("reason")
    below.merge(above)


def _is_split_name(raw: object) -> TypeGuard[dict[str, dict[str, Any]]]:
    """Whether TOML parsed `[models.qwen2.5]` as a table `5` in a table `qwen2`."""
    known = keys_of(Model)
    return (
        isinstance(raw, dict)
        and bool(raw)
        and all(isinstance(value, dict) and key not in known for key, value in raw.items())
    )


def _split_name(raw: object) -> list[str]:
    keys: list[str] = []
    while _is_split_name(raw) and len(keys) < 4:
        key = next(iter(raw))
        keys.append(key)
        raw = raw[key]
    return keys
