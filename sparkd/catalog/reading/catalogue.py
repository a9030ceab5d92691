"""Reads the catalogue: documents, tables, layers, checks. Reports every problem of every file at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Struct

from sparkd.catalog.catalogue import Catalogue
from sparkd.catalog.client_rules import ClientRule
from sparkd.catalog.definitions import Model
from sparkd.catalog.key_rules import KeyRules
from sparkd.catalog.names import NAME_RULE, is_id
from sparkd.catalog.origins import Table
from sparkd.catalog.reading.checks import check_models, check_runtime, check_runtimes_exist, check_settings
from sparkd.catalog.reading.client_checks import check_clients, check_keys
from sparkd.catalog.reading.conversion import Key, keys_of
from sparkd.catalog.reading.documents import Documents
from sparkd.catalog.reading.drafts import Draft
from sparkd.catalog.reading.layers import CHOICES, CLIENTS, FAMILIES, KEYS, RUNTIMES, Layers
from sparkd.catalog.reading.tables import SETTINGS, TableReader
from sparkd.catalog.runtime import Runtime
from sparkd.catalog.settings import Defaults, Paths, Settings
from sparkd.errors import CatalogueError

StructT = TypeVar("StructT", bound=Struct)


def read_catalogue(path: Path) -> Catalogue:
    """Read `path`, its drop-ins, and the runtimes in its `paths.venvs`.

    Raises CatalogueError with every problem of every file, one line each.
    """
    return read_with_overrides(path, {})


def read_with_overrides(path: Path, overrides: Mapping[Path, bytes | None]) -> Catalogue:
    """Like `read_catalogue`, but use the contents in `overrides` for those files. None is a file that is missing."""
    documents = Documents(overrides)
    layers = _read_layers(documents, path)
    settings = _build_settings(layers.settings, path)
    runtimes = _Runtimes(documents, Path(settings.paths.venvs))
    models = _build_drafts(layers.models, settings.defaults, layers.settings["defaults"])
    problems = [*documents.problems, *layers.problems, *runtimes.problems]
    problems += check_settings(settings, layers.settings)
    if "venvs" not in layers.settings["paths"].invalid_keys:
        venvs = Path(settings.paths.venvs)
        launchers = layers.settings["launchers"]
        problems += check_runtimes_exist(models, layers.defaults[RUNTIMES], launchers, runtimes.names, venvs)
    problems += check_models(models, settings, layers.settings, layers.choices)
    problems += check_keys(layers.named[KEYS], models)
    problems += check_clients(layers.named[CLIENTS])
    if problems:
        # A problem in a family is found in each of its models.
        raise CatalogueError(list(dict.fromkeys(problems)))
    found = {draft.model.id: draft.model for draft in models}
    return Catalogue(
        path=path,
        settings=settings,
        models=found,
        runtimes=runtimes.found,
        tables=layers.models,
        families=layers.defaults[FAMILIES],
        choices=layers.choices.values.get(CHOICES, {}),
        keys={name: KeyRules(name=name, **table.values) for name, table in layers.named[KEYS].items()},
        clients=[ClientRule(name=name, **table.values) for name, table in layers.named[CLIENTS].items()],
    )


def read_paths(path: Path) -> Paths:
    """The folders in `[paths]` of `path` and its drop-ins, absolute. Nothing else in these files is checked.

    So an operator can still reach the daemon after breaking a model's table. Raises CatalogueError if `path` itself
    cannot be read or is not TOML.
    """
    documents = Documents()
    layers = Layers(path)
    for file in (path, *documents.drop_ins(path)):
        tables = documents.read(file)
        if tables is not None:
            layers.merge(file, {"paths": tables.get("paths", {})})
        elif file == path:
            raise CatalogueError(documents.problems)
    return _build_settings(layers.settings, path).paths


def _read_layers(documents: Documents, path: Path) -> Layers:
    layers = Layers(path)
    for file in (path, *documents.drop_ins(path)):
        tables = documents.read(file)
        if tables is not None:
            layers.merge(file, tables)
    layers.resolve_models(complete=documents.complete)
    return layers


def _build_settings(tables: Mapping[str, Table], path: Path) -> Settings:
    built: dict[str, Any] = {name: struct(**tables[name].values) for name, struct in SETTINGS.items()}
    folder = path.absolute().parent
    paths: Paths = built["paths"]
    built["paths"] = Paths(**{name: str(folder / getattr(paths, name)) for name in Paths.__struct_fields__})
    return Settings(**built)


def _build_drafts(tables: Mapping[str, Table], defaults: Defaults, given: Table) -> list[Draft]:
    """Models with the values of `[defaults]`, of which the table `given` sets some."""
    timeouts = {name: getattr(defaults, name) for name in Defaults.__struct_fields__}
    kept = {} if "idle_timeout" in given.values else {"idle_timeout": 0.0}
    return [
        Draft(
            _build_struct(
                Model,
                {**timeouts, **(kept if table.values.get("lifecycle") == "utility" else {}), **table.values},
                id=id_,
            ),
            table,
        )
        for id_, table in tables.items()
    ]


def _build_struct(struct: type[StructT], values: Mapping[str, Any], **given: Any) -> StructT:
    """A struct from a table that has been read, including the structs of the tables in it."""
    keys = keys_of(struct)
    return struct(**given, **{name: _build_value(keys[name], value) for name, value in values.items()})


def _build_value(key: Key, value: Any) -> Any:
    return _build_struct(key.struct, value) if key.struct is not None else value


class _Runtimes:
    """The defined runtimes. `names` includes runtimes with an invalid definition."""

    def __init__(self, documents: Documents, venvs: Path) -> None:
        self.found: dict[str, Runtime] = {}
        self.names: set[str] = set()
        self.problems: list[str] = []
        for file in documents.runtimes(venvs):
            self._add(file, documents.read(file))

    def _add(self, file: Path, tables: dict[str, Any] | None) -> None:
        name = file.parent.name
        self.names.add(name)
        if not is_id(name):
            self.problems.append(f"{file.parent}: expected the name of a runtime: {NAME_RULE}")
        elif tables is not None:
            table = TableReader(file, self.problems).read(Runtime, tables)
            self.problems += check_runtime(table)
            self.found[name] = Runtime(name=name, folder=file.parent, **table.values)
