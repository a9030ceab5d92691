"""What a model's engine is started with, and where each part of it comes from."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct, structs
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sparkd.catalog import Catalogue
from sparkd.catalog.definitions import Model
from sparkd.catalog.origins import Origin, Table
from sparkd.catalog.reading.conversion import Key, keys_of
from sparkd.catalog.secrets import MASK, is_secret, mask_arguments, mask_value
from sparkd.catalog.settings import Defaults
from sparkd.catalog.sizes import format_size
from sparkd.control.interfaces import SupervisorInterface
from sparkd.control.prerequisites import find_missing_prerequisites
from sparkd.control.viewer import viewer_of
from sparkd.editing.files import names_of
from sparkd.editing.known import Known
from sparkd.editing.masking import mask_variables
from sparkd.editing.toml_places import Place, find_places
from sparkd.engines.engine import Command
from sparkd.errors import LaunchError
from sparkd.hub.inspection import inspect_model

Source = Literal["model", "change", "family", "runtime", "default", "built-in"]
SOURCES: Final[Mapping[str, Source]] = {
    "models": "model",
    "changes": "change",
    "families": "family",
    "runtimes": "runtime",
    "defaults": "default",
}
"""By the kind of table that sets a key."""

Places = Mapping[tuple[str, ...], Place]

PreviewCommand = Callable[[Model], Command]
"""The command that would start a model's engine. Raises LaunchError."""


class Option(Struct, frozen=True, kw_only=True):
    """One effective key of a model. `key` is dotted, `value` as JSON; `text` is the value as the catalogue has it.

    `source` is the kind of table that sets it, "built-in" if none does. `file`, `line` and `table` are where, None if
    nowhere.
    """

    key: str
    value: Any
    text: str
    source: Source
    file: str | None = None
    line: int | None = None
    table: str | None = None
    description: str = ""


class ModelOptions(Struct, frozen=True, kw_only=True):
    """A model's options. `command` and `environment` start its engine now, with secrets hidden; None and `obstacle`
    if it cannot start. `command_text` is the command for a shell. `notes` are sentences about what is missing.
    """

    model: str
    file: str
    editable: bool
    options: list[Option]
    command: list[str] | None
    command_text: str | None
    environment: dict[str, str] | None
    obstacle: str
    notes: list[str]


def option_routes(supervisor: SupervisorInterface, preview: PreviewCommand) -> list[BaseRoute]:
    """The routes of a model's options, and of its files on disk."""

    places = Known(_read_places)

    async def options(request: Request) -> Response:
        catalogue = supervisor.catalogue
        model = catalogue.find_including_disabled(request.path_params["model"])
        found = await asyncio.to_thread(describe_options, model, catalogue, preview, places)
        if not viewer_of(request.scope).rights.control:
            found = _hide_environment(found, model)
        return Response(msgspec.json.encode(found), media_type="application/json")

    async def files(request: Request) -> Response:
        catalogue = supervisor.catalogue
        model = catalogue.find_including_disabled(request.path_params["model"])
        parts = await asyncio.to_thread(inspect_model, model, catalogue.folder("models"))
        return Response(msgspec.json.encode(parts), media_type="application/json")

    return [
        Route("/models/{model:path}/options", options, methods=["GET"]),
        Route("/models/{model:path}/files", files, methods=["GET"]),
    ]


def describe_options(
    model: Model, catalogue: Catalogue, preview: PreviewCommand, places: Known[Places]
) -> ModelOptions:
    """All effective keys of a model, and its command. Reads the disk."""
    command, obstacle = None, ""
    try:
        command = preview(model)
    except LaunchError as error:
        obstacle = error.message
    files = _Files(catalogue, places)
    declared = catalogue.locate_key(model)[0]
    return ModelOptions(
        model=model.id,
        file=files.name(declared),
        editable=declared != catalogue.path,
        options=list(_list_options(model, catalogue, files)),
        command=mask_arguments(command.argv) if command else None,
        command_text=shlex.join(mask_arguments(command.argv)) if command else None,
        environment=dict(sorted(mask_variables(command.environment).items())) if command else None,
        obstacle=obstacle,
        notes=list(find_missing_prerequisites(model, catalogue)),
    )


def _hide_environment(found: ModelOptions, model: Model) -> ModelOptions:
    """The options without the variables of the catalogue: of those, only the owner knows which are secrets."""
    hidden = dict.fromkeys(model.environment, MASK)
    options = [
        structs.replace(option, value=MASK, text=f'"{MASK}"')
        if option.key.startswith("environment.")
        else option
        for option in found.options
    ]
    environment = None if found.environment is None else found.environment | hidden
    return structs.replace(found, options=options, environment=environment)


def _read_places(file: Path) -> Places:
    return find_places(file.read_bytes().decode("utf-8-sig", errors="replace").replace("\r\n", "\n"))


class _Files:
    """Names of the catalogue's files, and the lines of their keys."""

    def __init__(self, catalogue: Catalogue, places: Known[Places]) -> None:
        self._names = names_of(catalogue.path)
        self._places = places

    def name(self, file: Path) -> str:
        """The name of a file, or its path if it is none of the catalogue."""
        return self._names.get(file, str(file))

    def line(self, file: Path, key: tuple[str, ...]) -> int | None:
        """The line of a key, None if the file has changed since."""
        try:
            place = self._places.get(file).get(key)
        except OSError:
            return None
        return place.line if place else None

    def last_with(self, key: tuple[str, ...]) -> tuple[Path, int] | None:
        """The last file that has the key, and the line: it sets the value."""
        found = ((file, self.line(file, key)) for file in reversed(self._names))
        return next(((file, line) for file, line in found if line is not None), None)


def _list_options(model: Model, catalogue: Catalogue, files: _Files) -> Iterator[Option]:
    table = catalogue.table_of(model)
    for name, key in keys_of(Model).items():
        value = getattr(model, name)
        if key.struct is not None:
            yield from _list_nested(name, key, value, table, files)
        elif key.items is not None and value:
            for inner, item in value.items():
                yield _describe((name, inner), item, key, table, files)
        elif (key.items is None and value is not None) or name in table.values:
            yield _describe((name,), value, key, table, files)


def _list_nested(name: str, key: Key, value: Any, table: Table, files: _Files) -> Iterator[Option]:
    """The keys of a table in the model's, but only those that are set."""
    for inner, nested in keys_of(key.struct).items() if key.struct else ():
        if any(path[:2] == (name, inner) for path in table.origins):
            yield _describe((name, inner), msgspec.to_builtins(getattr(value, inner)), nested, table, files)


def _describe(path: tuple[str, ...], value: Any, key: Key, table: Table, files: _Files) -> Option:
    origin = _find_origin(path, table)
    value = MASK if is_secret(path[-1]) and isinstance(value, str) else mask_value(value)
    is_size = key.unit == "bytes" and isinstance(value, int)
    shown = {
        "key": ".".join(path),
        "value": value,
        "text": format_size(value) if is_size else msgspec.json.encode(value).decode(),
        "description": key.description if len(path) == 1 or key.items is None else "",
    }
    if origin is None:
        place = files.last_with(("defaults", path[0])) if path[0] in keys_of(Defaults) else None
        if place is None:
            return Option(**shown, source="built-in")
        return Option(**shown, source="default", file=files.name(place[0]), line=place[1], table="defaults")
    return Option(
        **shown,
        source=SOURCES.get(origin.table[0], "model"),
        file=files.name(origin.file),
        line=files.line(origin.file, (*origin.table, *path)),
        table=".".join(origin.table),
    )


def _find_origin(path: tuple[str, ...], table: Table) -> Origin | None:
    """Where the key, or the table that it is in, is set; None if no file sets it."""
    return next((table.origins[path[:n]] for n in range(len(path), 0, -1) if path[:n] in table.origins), None)
