"""`sparkctl check`: read the catalogue, and report every problem and what is missing before models can start.

With `--runtime`, the engines' own parsers also check the models' flags, which takes about ten seconds.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct, structs

from sparkd.catalog import Catalogue
from sparkd.catalog.reading import read_catalogue
from sparkd.catalog.reading.locations import catalogue_path
from sparkd.cli import exit_codes
from sparkd.cli.check.engine_flags import ParserReport, check_engine_flags
from sparkd.cli.doctor.readiness import assess_readiness, has_gpu, inspect_readiness
from sparkd.cli.output.formatting import format_count
from sparkd.cli.output.messages import print_error, print_json, print_line
from sparkd.editing.notes import find_notes
from sparkd.engines import find_engine_problems
from sparkd.errors import CatalogueError, InvalidRequest


class CheckResult(Struct, frozen=True, kw_only=True):
    """What `sparkctl check --json` prints. `notes` are not problems: sparkd starts, but some models cannot yet."""

    catalogue: Path
    problems: list[str]
    notes: list[str] = []
    models: int = 0
    disabled: int = 0
    aliases: int = 0
    runtimes: int = 0
    parsers: list[ParserReport] = []


def run(arguments: argparse.Namespace) -> int:
    """Print the problems and fail, or print what the catalogue contains."""
    if not arguments.runtime and (arguments.models or arguments.all or arguments.stand_in):
        print_error(InvalidRequest("MODEL, --all and --stand-in need --runtime"), as_json=arguments.json)
        return exit_codes.USAGE
    path = catalogue_path(arguments.catalogue)
    result = check_catalogue(path)
    if arguments.runtime and not result.problems:
        result = _check_flags(result, read_catalogue(path), arguments)
    if arguments.json:
        print_json(result)
    else:
        for line in _render(result):
            print_line(line)
    return exit_codes.FAILED if result.problems else exit_codes.SUCCESS


def check_catalogue(path: Path) -> CheckResult:
    """All problems of the catalogue: those of its files, or if there are none, those that engines find."""
    try:
        catalogue = read_catalogue(path)
    except CatalogueError as error:
        return CheckResult(catalogue=path, problems=error.problems)
    models = catalogue.models.values()
    return CheckResult(
        catalogue=path,
        problems=find_engine_problems(catalogue),
        notes=list(_list_notes(catalogue)),
        models=len(models),
        disabled=sum(not model.enabled for model in models),
        aliases=sum(len(model.aliases) for model in models),
        runtimes=len(catalogue.runtimes),
    )


def _check_flags(result: CheckResult, catalogue: Catalogue, arguments: argparse.Namespace) -> CheckResult:
    known = catalogue.models.values()
    requested = [catalogue.find_including_disabled(name) for name in arguments.models]
    models = requested or [model for model in known if model.enabled or arguments.all]
    flags = check_engine_flags(catalogue, models, arguments.stand_in)
    # A named model that was not checked, or no check at all, is a problem and not a note.
    is_incomplete = bool(requested) or not flags.parsers
    return structs.replace(
        result,
        problems=[*flags.problems, *(flags.unchecked if is_incomplete else [])],
        notes=[*result.notes, *([] if is_incomplete else flags.unchecked)],
        parsers=flags.parsers,
    )


def _list_notes(catalogue: Catalogue) -> Iterator[str]:
    for finding in assess_readiness(inspect_readiness(catalogue, gpu=has_gpu())):
        if finding.level != "ok":
            yield f"{finding.message}; {finding.fix}"
    yield from find_notes(catalogue)


def _render(result: CheckResult) -> list[str]:
    if result.problems:
        return [*result.problems, f"{format_count(len(result.problems), 'problem')} in {result.catalogue}"]
    disabled = f" ({result.disabled} disabled)" if result.disabled else ""
    counts = (
        f"{format_count(result.models, 'model')}{disabled}, "
        f"{result.aliases} {'alias' if result.aliases == 1 else 'aliases'}, {format_count(result.runtimes, 'runtime')}"
    )
    lines = [f"{result.catalogue} is valid: {counts}"]
    for parser in result.parsers:
        stand_in = f"; also used for {', '.join(parser.stand_in_for)}" if parser.stand_in_for else ""
        models = format_count(parser.models, "model")
        lines.append(f"{parser.version} of runtime {parser.runtime} accepts the flags of {models}{stand_in}")
    return [*lines, *(f"note: {note}" for note in result.notes)]
