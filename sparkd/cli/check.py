"""`sparkctl check`: read the catalogue, and name everything wrong with it and what is still to be done.

With `--runtime` the engines' own parsers are asked about the models' flags too: that takes some ten seconds.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct, structs

from sparkd.catalog import Catalogue
from sparkd.catalog.nearest import did_you_mean
from sparkd.catalog.reading import read_catalogue
from sparkd.catalog.reading.locations import catalogue_path
from sparkd.cli import exits
from sparkd.cli.asking import Parser, ask_parsers
from sparkd.cli.output import complain, say, say_json
from sparkd.cli.readiness import has_gpu, judged, look
from sparkd.cli.wording import number
from sparkd.engines import engine_problems
from sparkd.errors import CatalogueError, InvalidRequest


class Checked(Struct, frozen=True, kw_only=True):
    """What `sparkctl check --json` prints. `notes` are no problems: sparkd starts, some models do not yet."""

    catalogue: Path
    problems: list[str]
    notes: list[str] = []
    models: int = 0
    disabled: int = 0
    aliases: int = 0
    runtimes: int = 0
    asked: list[Parser] = []


def run(arguments: argparse.Namespace) -> int:
    """Print problems (and fail), or what the catalogue has."""
    if not arguments.runtime and (arguments.models or arguments.all or arguments.stand_in):
        complain(InvalidRequest("MODEL, --all and --stand-in go with --runtime"), as_json=arguments.json)
        return exits.USAGE
    path = catalogue_path(arguments.catalogue)
    checked = check(path)
    if arguments.runtime and not checked.problems:
        checked = _asked(checked, read_catalogue(path), arguments)
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


def _asked(checked: Checked, catalogue: Catalogue, arguments: argparse.Namespace) -> Checked:
    known = catalogue.models.values()
    named = [catalogue.defined(name) for name in arguments.models]
    models = named or [model for model in known if model.enabled or arguments.all]
    found = ask_parsers(catalogue, models, arguments.stand_in)
    # Who asks for a model by name, or is told of none, has not been told that all is well.
    missed = bool(named) or not found.asked
    return structs.replace(
        checked,
        problems=[*found.problems, *(found.unasked if missed else [])],
        notes=[*checked.notes, *([] if missed else found.unasked)],
        asked=found.asked,
    )


def _notes(catalogue: Catalogue) -> Iterator[str]:
    for finding in judged(look(catalogue, gpu=has_gpu())):
        if finding.level != "ok":
            yield f"{finding.found}; {finding.mend}"
    used = {model.family for model in catalogue.models.values()}
    for family in catalogue.families:
        if family not in used:
            yield f'family "{family}" has no model{did_you_mean(family, filter(None, used))}'


def _lines(checked: Checked) -> list[str]:
    if checked.problems:
        return [*checked.problems, f"{number(len(checked.problems), 'problem')} in {checked.catalogue}"]
    disabled = f" ({checked.disabled} disabled)" if checked.disabled else ""
    counts = (
        f"{number(checked.models, 'model')}{disabled}, "
        f"{checked.aliases} {'alias' if checked.aliases == 1 else 'aliases'}, {number(checked.runtimes, 'runtime')}"
    )
    lines = [f"{checked.catalogue} is right: {counts}"]
    for parser in checked.asked:
        others = f"; it stood in for {', '.join(parser.stood_in_for)}" if parser.stood_in_for else ""
        models = number(parser.models, "model")
        lines.append(f"{parser.version} of runtime {parser.runtime} takes the flags of {models}{others}")
    return [*lines, *(f"note: {note}" for note in checked.notes)]
