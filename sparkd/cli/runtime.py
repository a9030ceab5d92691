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
from sparkd.cli import exits
from sparkd.cli.output import note, say, say_json
from sparkd.cli.runtime_list import show, status_of
from sparkd.cli.wording import number
from sparkd.errors import RuntimeBuildError, RuntimeNotFound
from sparkd.runtimes import build, roll_back
from sparkd.runtimes.pruning import Pruned, prune, stale_caches


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
        return _roll_back(_named(catalogue, [arguments.runtime])[0], root, as_json=arguments.json)
    if arguments.action == "prune":
        return _prune(catalogue, root, everything=arguments.all, as_json=arguments.json)
    runtimes = _named(catalogue, arguments.names)
    if arguments.action == "build":
        return _build(runtimes, root, as_json=arguments.json)
    return _list(runtimes, catalogue, as_json=arguments.json)


def _named(catalogue: Catalogue, names: list[str]) -> list[Runtime]:
    for name in names:
        if name not in catalogue.runtimes:
            hint = did_you_mean(name, catalogue.runtimes)
            raise RuntimeNotFound(f'there is no runtime "{name}" in {catalogue.folder("venvs")}{hint}')
    return [catalogue.runtimes[name] for name in names or catalogue.runtimes]


def _build(runtimes: list[Runtime], root: Path, *, as_json: bool) -> int:
    """Lines of progress are the result for a person; for a program they are remarks, and the folders the result."""
    report = note if as_json else say
    for runtime in runtimes:
        folder = build(runtime, root, report, terminal=sys.stdout.isatty() and sys.stderr.isatty())
        if as_json:
            say_json({"name": runtime.name, "folder": folder})
    return exits.DONE


def _list(runtimes: list[Runtime], catalogue: Catalogue, *, as_json: bool) -> int:
    statuses = [status_of(runtime, catalogue.folder("runtimes")) for runtime in runtimes]
    if as_json:
        say_json(statuses)
    elif not statuses:
        say(f"There are no runtimes in {catalogue.folder('venvs')}.")
    else:
        show(statuses)
    return exits.DONE


def _roll_back(runtime: Runtime, root: Path, *, as_json: bool) -> int:
    left, back = roll_back(runtime, root)
    if as_json:
        say_json({"name": runtime.name, "from": left, "folder": back.folder})
        return exits.DONE
    before = f" instead of {left.name}" if left else ""
    say(f"Runtime {runtime.name!r} is rolled back to {back.folder.name}{before}.")
    say(
        "Engines that run now are left alone; the next start of a model takes it. "
        f"`sparkctl runtime build {runtime.name}` goes forward again."
    )
    return exits.DONE


def _prune(catalogue: Catalogue, root: Path, *, everything: bool, as_json: bool) -> int:
    done = prune(catalogue.runtimes.values(), root, note, everything=everything)
    caches = stale_caches(root, catalogue.folder("state") / "cache")
    if as_json:
        say_json({"removed": done.removed, "in_use": done.in_use, "caches": caches})
        return exits.DONE
    for line in _told(done):
        say(line)
    if caches:
        say(f"Removed {number(len(caches), 'cache')} of builds that are gone.")
    if not everything:
        say("Each runtime keeps its current build and the one before; --all keeps the current one only.")
    return exits.DONE


def _told(done: Pruned) -> list[str]:
    lines = [f"Removed {folder}" for folder in done.removed]
    for folder, pids in done.in_use.items():
        listed = ", ".join(map(str, pids))
        lines.append(f"Kept {folder}: processes run from it ({listed})")
    return lines or ["There was no build to remove."]
