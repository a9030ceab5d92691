"""`sparkctl check`: read the catalogue, and name everything wrong with it and what is still to be done."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from sparkd.catalog import Catalogue, read_catalogue
from sparkd.catalog.locations import catalogue_path
from sparkd.cli import exits
from sparkd.cli.output import say, say_json
from sparkd.cli.wording import number
from sparkd.engines import engine_problems
from sparkd.errors import CatalogueError
from sparkd.runtimes import installed


class Checked(Struct, frozen=True, kw_only=True):
    """What `sparkctl check --json` prints. `notes` are no problems: sparkd starts, some models do not yet."""

    catalogue: Path
    problems: list[str]
    notes: list[str] = []
    models: int = 0
    disabled: int = 0
    aliases: int = 0
    runtimes: int = 0


def run(arguments: argparse.Namespace) -> int:
    """Print problems (and fail), or what the catalogue has."""
    checked = check(catalogue_path(arguments.catalogue))
    if arguments.json:
        say_json(checked)
    else:
        for line in _lines(checked):
            say(line)
    return exits.FAILED if checked.problems else exits.DONE


def check(path: Path) -> Checked:
    """Everything wrong with the catalogue: first its files, and only if these are right what engines say of them."""
    try:
        catalogue = read_catalogue(path)
    except CatalogueError as error:
        return Checked(catalogue=path, problems=error.problems)
    models = catalogue.models.values()
    return Checked(
        catalogue=path,
        problems=engine_problems(catalogue),
        notes=list(_notes(catalogue)),
        models=len(models),
        disabled=sum(not model.enabled for model in models),
        aliases=sum(len(model.aliases) for model in models),
        runtimes=len(catalogue.runtimes),
    )


def _notes(catalogue: Catalogue) -> Iterator[str]:
    enabled = [model for model in catalogue.models.values() if model.enabled]
    for runtime in catalogue.runtimes.values():
        users = [model.id for model in enabled if model.runtime == runtime.name]
        if users and installed(runtime, catalogue.folder("runtimes")) is None:
            yield (
                f'runtime "{runtime.name}" is not built, and {_some(users)} cannot start without it: '
                f"`sparkctl runtime build {runtime.name}`"
            )
    for model in enabled:
        if model.source and model.source.startswith("/") and not Path(model.source).exists():
            yield f"{model.id} cannot start: its source {model.source} is not there"
    if not enabled:
        yield "there is no model that may run"


def _some(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= 3 else f"{', '.join(names[:2])} and {len(names) - 2} more"


def _lines(checked: Checked) -> list[str]:
    if checked.problems:
        return [*checked.problems, f"{number(len(checked.problems), 'problem')} in {checked.catalogue}"]
    disabled = f" ({checked.disabled} disabled)" if checked.disabled else ""
    counts = (
        f"{number(checked.models, 'model')}{disabled}, "
        f"{checked.aliases} {'alias' if checked.aliases == 1 else 'aliases'}, {number(checked.runtimes, 'runtime')}"
    )
    return [f"{checked.catalogue} is right: {counts}", *(f"note: {note}" for note in checked.notes)]
