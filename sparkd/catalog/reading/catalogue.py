"""Reads the catalogue: documents, tables, layers, checks; every problem of every file at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Struct

from sparkd.catalog.catalogue import Catalogue
from sparkd.catalog.definitions import Model, Runtime
from sparkd.catalog.names import NAME_RULE, is_id
from sparkd.catalog.origins import Table
from sparkd.catalog.reading.checks import check_models, check_runtime, check_runtimes_exist, check_settings
from sparkd.catalog.reading.conversion import Key, keys_of
from sparkd.catalog.reading.documents import Documents
from sparkd.catalog.reading.drafts import Draft
from sparkd.catalog.reading.layers import FAMILIES, RUNTIMES, Layers
from sparkd.catalog.reading.tables import SETTINGS, TableReader
from sparkd.catalog.settings import Defaults, Paths, Settings
from sparkd.errors import CatalogueError

Made = TypeVar("Made", bound=Struct)


def read_catalogue(path: Path) -> Catalogue:
    """Read `path`, its drop-ins, and the runtimes its `paths.venvs` has.

    Raises CatalogueError with every problem of every file, one line each.
    """
    return read_with(path, {})


def read_with(path: Path, instead: Mapping[Path, bytes]) -> Catalogue:
    """As `read_catalogue`, with the files in `instead` taken to say what stands there."""
    documents = Documents(instead)
    layers = _lay(documents, path)
    settings = _settings(layers.settings, path)
    runtimes = _Runtimes(documents, Path(settings.paths.venvs))
    models = _drafts(layers.models, settings.defaults)
    problems = [*documents.problems, *layers.problems, *runtimes.problems]
    problems += check_settings(settings, layers.settings)
    if "venvs" not in layers.settings["paths"].wrong:
        venvs = Path(settings.paths.venvs)
        problems += check_runtimes_exist(models, layers.defaults[RUNTIMES], runtimes.names, venvs)
    problems += check_models(models, settings, layers.settings)
    if problems:
        # What is wrong in a family is found in each of its models.
        raise CatalogueError(list(dict.fromkeys(problems)))
    found = {draft.model.id: draft.model for draft in models}
    return Catalogue(
        path=path,
        settings=settings,
        models=found,
        runtimes=runtimes.found,
        tables=layers.models,
        families=layers.defaults[FAMILIES],
    )


def read_paths(path: Path) -> Paths:
    """The folders that `path` and its drop-ins name, absolute, with nothing else of them looked at.

    So an operator who has just broken a model's table can still reach the daemon. Raises CatalogueError when
    `path` itself cannot be read or is not TOML.
    """
    documents = Documents()
    layers = Layers(path)
    for file in (path, *documents.drop_ins(path)):
        tables = documents.read(file)
        if tables is not None:
            layers.lay(file, {"paths": tables.get("paths", {})})
        elif file == path:
            raise CatalogueError(documents.problems)
    return _settings(layers.settings, path).paths


def _lay(documents: Documents, path: Path) -> Layers:
    layers = Layers(path)
    for file in (path, *documents.drop_ins(path)):
        tables = documents.read(file)
        if tables is not None:
            layers.lay(file, tables)
    layers.settle(complete=documents.complete)
    return layers


def _settings(tables: Mapping[str, Table], path: Path) -> Settings:
    made: dict[str, Any] = {name: struct(**tables[name].values) for name, struct in SETTINGS.items()}
    folder = path.absolute().parent
    paths: Paths = made["paths"]
    made["paths"] = Paths(**{name: str(folder / getattr(paths, name)) for name in Paths.__struct_fields__})
    return Settings(**made)


def _drafts(tables: Mapping[str, Table], defaults: Defaults) -> list[Draft]:
    timeouts = {name: getattr(defaults, name) for name in Defaults.__struct_fields__}
    return [Draft(_made(Model, {**timeouts, **table.values}, id=id_), table) for id_, table in tables.items()]


def _made(struct: type[Made], values: Mapping[str, Any], **given: Any) -> Made:
    """A struct from the table that has been read for it, and so from the tables in it."""
    keys = keys_of(struct)
    return struct(**given, **{name: _value(keys[name], value) for name, value in values.items()})


def _value(key: Key, value: Any) -> Any:
    return _made(key.struct, value) if key.struct is not None else value


class _Runtimes:
    """The runtimes that are defined. `names` has those too whose definition is wrong."""

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
            self.problems.append(f"{file.parent}: a runtime's folder is called with {NAME_RULE}")
        elif tables is not None:
            table = TableReader(file, self.problems).read(Runtime, tables)
            self.problems += check_runtime(table)
            self.found[name] = Runtime(name=name, folder=file.parent, **table.values)
