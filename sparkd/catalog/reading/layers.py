"""Files laid over each other: the catalogue first, then its drop-ins in the order of their names.

A setting said twice is what the later file says, and so is a key of `[runtimes.<name>]` or `[families.<name>]`. A
model is defined once; a drop-in changes keys of it under `[changes.<id>]`. So nobody changes a shipped model by
choosing its name by chance, and a misspelt id is told.

What a model is in the end: what its runtime says, under what its family says, under what it says itself, under the
changes. A family may say the runtime.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeGuard

from sparkd.catalog.definitions import Model
from sparkd.catalog.names import NAME_RULE, is_id
from sparkd.catalog.nearest import did_you_mean
from sparkd.catalog.origins import Origin, Table
from sparkd.catalog.reading.conversion import keys_of
from sparkd.catalog.reading.tables import SETTINGS, TableReader, homes
from sparkd.catalog.wording import dotted, problem, wrong_value

MODELS = "models"
CHANGES = "changes"
RUNTIMES = "runtimes"
FAMILIES = "families"
TABLES = (*SETTINGS, RUNTIMES, FAMILIES, MODELS, CHANGES)
"""Every table a catalogue file may have."""

_EACH_ITS_OWN = "every model has its own; it belongs in [models.<id>]"
REFUSED: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        FAMILIES: {"aliases": _EACH_ITS_OWN, "source": _EACH_ITS_OWN, "family": "a family is in no other"},
        RUNTIMES: {
            "aliases": _EACH_ITS_OWN,
            "source": _EACH_ITS_OWN,
            "family": "a family's defaults lie over a runtime's; it belongs in [models.<id>]",
            "runtime": "it is the runtime of that name",
        },
    }
)
"""Keys of models that no table of defaults has, and why."""


@dataclass(slots=True)
class Layers:
    """What the files laid so far say together. Whatever is wrong goes to `problems`, one line each."""

    catalogue: Path
    problems: list[str] = field(default_factory=list)
    settings: dict[str, Table] = field(default_factory=dict)
    models: dict[str, Table] = field(default_factory=dict)
    defaults: dict[str, dict[str, Table]] = field(default_factory=dict)
    changes: list[tuple[str, Table]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.settings = {name: Table(Origin(self.catalogue, (name,))) for name in SETTINGS}
        self.defaults = {RUNTIMES: {}, FAMILIES: {}}

    def lay(self, file: Path, tables: Mapping[str, Any]) -> None:
        """Lay one more file over those before."""
        reader = TableReader(file, self.problems)
        for name, raw in tables.items():
            if name in SETTINGS:
                self.settings[name].lay(reader.read(SETTINGS[name], raw, name))
            elif name not in TABLES:
                kind = "table" if isinstance(raw, dict) else "key"
                reader.tell(f"unknown {kind}{did_you_mean(name, TABLES) or homes(name)}", raw, name)
            elif not isinstance(raw, dict):
                reader.tell("expected a table of tables", raw, name)
            else:
                for id_, keys in raw.items():
                    self._keys(reader, name, id_, keys)

    def _keys(self, reader: TableReader, kind: str, id_: str, raw: object) -> None:
        if not isinstance(raw, dict):
            reader.tell("expected a table", raw, kind, id_)
        elif _is_cut_name(raw):
            whole = ".".join((id_, *_first_keys(raw)))
            text = f"a name with a dot in it stands in quotes: [{dotted(kind, whole)}]"
            self.problems.append(problem(reader.file, dotted(kind, id_), text))
        elif not is_id(id_):
            self.problems.append(problem(reader.file, dotted(kind, id_), f"expected {NAME_RULE}"))
        elif kind == CHANGES:
            self.changes.append((id_, reader.read(Model, raw, kind, id_)))
        elif kind in self.defaults:
            table = reader.read(Model, raw, kind, id_, refused=REFUSED[kind])
            lay(self.defaults[kind].setdefault(id_, Table(table.begun)), table)
        elif id_ in self.models:
            text = f"defined already in {self.models[id_].file}; to change keys of it write [{dotted(CHANGES, id_)}]"
            self.problems.append(problem(reader.file, dotted(kind, id_), text))
        else:
            self.models[id_] = reader.read(Model, raw, kind, id_)

    def settle(self, *, complete: bool) -> None:
        """Make the models what they are in the end, once every file is laid. `complete`: no file was unreadable."""
        for id_, change in self.changes:
            if id_ in self.models:
                lay(self.models[id_], change)
            elif complete:
                text = f'there is no model "{id_}" to change{did_you_mean(id_, self.models)}'
                self.problems.append(problem(change.file, dotted(CHANGES, id_), text))
        self.changes.clear()
        for id_, own in self.models.items():
            self.models[id_] = self._with_defaults(own, complete=complete)

    def _with_defaults(self, own: Table, *, complete: bool) -> Table:
        families, runtimes = self.defaults[FAMILIES], self.defaults[RUNTIMES]
        whole = Table(own.begun)
        name = own.values.get("family")
        family = families.get(name) if name is not None else None
        if family is None and name is not None and complete:
            meant = did_you_mean(name, families) or f"; [{dotted(FAMILIES, name)}] would say what it is"
            self.problems.append(wrong_value(*own.place("family"), name, f"there is no such family{meant}"))
        runtime = own.values.get("runtime", family.values.get("runtime") if family else None)
        for table in (runtimes.get(runtime or ""), family, own):
            if table is not None:
                lay(whole, table)
        return whole


def lay(below: Table, above: Table) -> None:
    """Lay a table of a model over another. A status that is said anew has left the reason of the old one behind."""
    if "status" in above.values:
        below.forget("reason")
    below.lay(above)


def _is_cut_name(raw: object) -> TypeGuard[dict[str, dict[str, Any]]]:
    """Whether TOML took `[models.qwen2.5]` for a table `5` in a table `qwen2`."""
    known = keys_of(Model)
    return (
        isinstance(raw, dict)
        and bool(raw)
        and all(isinstance(value, dict) and key not in known for key, value in raw.items())
    )


def _first_keys(raw: object) -> list[str]:
    keys: list[str] = []
    while _is_cut_name(raw) and len(keys) < 4:
        key = next(iter(raw))
        keys.append(key)
        raw = raw[key]
    return keys
