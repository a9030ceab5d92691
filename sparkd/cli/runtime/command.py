"""`sparkctl runtime build|list|rollback|prune`: the virtualenvs engines run in."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sparkd.catalog import Catalogue
from sparkd.catalog.definitions import Runtime
from sparkd.catalog.nearest import did_you_mean
from sparkd.catalog.reading import read_catalogue
from sparkd.catalog.reading.locations import catalogue_path
from sparkd.cli import exit_codes
from sparkd.cli.output.formatting import format_count
from sparkd.cli.output.messages import print_json, print_line, print_note
from sparkd.cli.runtime.listing import print_table, read_status
from sparkd.errors import RuntimeBuildError, RuntimeNotFound
from sparkd.runtimes import build, roll_back
from sparkd.runtimes.pruning import PruneResult, prune, remove_stale_caches


def run(arguments: argparse.Namespace) -> int:
    """Build runtimes, list them, go back to the build before, or remove old builds."""
    try:
        return _run(arguments)
    except BrokenPipeError:
        raise
    except OSError as error:
        mend = ": run this with `sudo`" if isinstance(error, PermissionError) else ""
        raise RuntimeBuildError(f"{error.filename}: {error.strerror}{mend}") from error


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
    """Lines of progress are the result for a person; for a program they are remarks, and the folders the result."""
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
    print_line(f"Runtime {runtime.name!r} is rolled back to {current.folder.name}{before}.")
    print_line(
        "Engines that run now are left alone; the next start of a model takes it. "
        f"`sparkctl runtime build {runtime.name}` goes forward again."
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
        print_line(f"Removed {format_count(len(caches), 'cache')} of builds that are gone.")
    if not everything:
        print_line(
            "Each runtime keeps its current build and the one before; --all keeps the current one only."
        )
    return exit_codes.SUCCESS


def _render_pruned(pruned: PruneResult) -> list[str]:
    lines = [f"Removed {folder}" for folder in pruned.removed]
    for folder, pids in pruned.in_use.items():
        pid_list = ", ".join(map(str, pids))
        lines.append(f"Kept {folder}: processes run from it ({pid_list})")
    return lines or ["There was no build to remove."]
