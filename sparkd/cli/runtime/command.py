"""`sparkctl runtime build|list|rollback|prune`: manage the virtualenvs that engines run in."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sparkd.catalog import Catalogue
from sparkd.catalog.nearest import did_you_mean
from sparkd.catalog.reading import read_catalogue
from sparkd.catalog.reading.locations import catalogue_path
from sparkd.catalog.runtime import Runtime
from sparkd.cli import exit_codes
from sparkd.cli.output.formatting import format_count
from sparkd.cli.output.messages import print_json, print_line, print_note
from sparkd.cli.runtime.listing import print_table, read_status
from sparkd.errors import RuntimeBuildError, RuntimeNotFound
from sparkd.runtimes import build, roll_back
from sparkd.runtimes.pruning import PruneResult, prune, remove_stale_caches


def run(arguments: argparse.Namespace) -> int:
    """Build runtimes, list them, return to the previous build, or remove old builds."""
    try:
        return _run(arguments)
    except BrokenPipeError:
        raise
    except OSError as error:
        fix = ". Run this with `sudo`." if isinstance(error, PermissionError) else ""
        raise RuntimeBuildError(f"{error.filename}: {error.strerror}{fix}") from error


def _run(arguments: argparse.Namespace) -> int:
    catalogue = read_catalogue(catalogue_path(arguments.catalogue))
    root = catalogue.folder("runtimes")
    if arguments.action == "rollback":
        return _roll_back(_find_runtimes(catalogue, [arguments.runtime])[0], root, as_json=arguments.json)
    if arguments.action == "prune":
        return _prune(catalogue, root, everything=arguments.all, as_json=arguments.json)
    runtimes = _find_runtimes(catalogue, arguments.names)
    if arguments.action == "build":
        return _build(runtimes, root, as_json=arguments.json)
    return _list(runtimes, catalogue, as_json=arguments.json)


def _find_runtimes(catalogue: Catalogue, names: list[str]) -> list[Runtime]:
    for name in names:
        if name not in catalogue.runtimes:
            hint = did_you_mean(name, catalogue.runtimes)
            raise RuntimeNotFound(f'there is no runtime "{name}" in {catalogue.folder("venvs")}{hint}')
    return [catalogue.runtimes[name] for name in names or catalogue.runtimes]


def _build(runtimes: list[Runtime], root: Path, *, as_json: bool) -> int:
    """Progress lines go to stdout; with `as_json` they go to stderr, and the folders are the result."""
    report = print_note if as_json else print_line
    for runtime in runtimes:
        folder = build(runtime, root, report, terminal=sys.stdout.isatty() and sys.stderr.isatty())
        if as_json:
            print_json({"name": runtime.name, "folder": folder})
    return exit_codes.SUCCESS


def _list(runtimes: list[Runtime], catalogue: Catalogue, *, as_json: bool) -> int:
    statuses = [read_status(runtime, catalogue.folder("runtimes")) for runtime in runtimes]
    if as_json:
        print_json(statuses)
    elif not statuses:
        print_line(f"There are no runtimes in {catalogue.folder('venvs')}.")
    else:
        print_table(statuses)
    return exit_codes.SUCCESS


def _roll_back(runtime: Runtime, root: Path, *, as_json: bool) -> int:
    previous, current = roll_back(runtime, root)
    if as_json:
        print_json({"name": runtime.name, "from": previous, "folder": current.folder})
        return exit_codes.SUCCESS
    before = f" instead of {previous.name}" if previous else ""
    print_line(f"Runtime {runtime.name!r} was rolled back to {current.folder.name}{before}.")
    print_line(
        "Running engines are not affected; the next start of a model uses it. "
        f"`sparkctl runtime build {runtime.name}` returns to the newest build."
    )
    return exit_codes.SUCCESS


def _prune(catalogue: Catalogue, root: Path, *, everything: bool, as_json: bool) -> int:
    pruned = prune(catalogue.runtimes.values(), root, print_note, everything=everything)
    caches = remove_stale_caches(root, catalogue.folder("state") / "cache")
    if as_json:
        print_json({"removed": pruned.removed, "in_use": pruned.in_use, "caches": caches})
        return exit_codes.SUCCESS
    for line in _render_pruned(pruned):
        print_line(line)
    if caches:
        print_line(f"Removed {format_count(len(caches), 'cache')} of removed builds.")
    if not everything:
        print_line("Each runtime keeps its current and its previous build; --all keeps only the current one.")
    return exit_codes.SUCCESS


def _render_pruned(pruned: PruneResult) -> list[str]:
    lines = [f"Removed {folder}" for folder in pruned.removed]
    for folder, pids in pruned.in_use.items():
        pid_list = ", ".join(map(str, pids))
        lines.append(f"Kept {folder}: processes run from it ({pid_list})")
    return lines or ["There is no build to remove."]
