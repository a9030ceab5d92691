"""`sparkctl runtime build|list`: the virtualenvs engines run in."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from msgspec import Struct
from rich.table import Table
from rich.text import Text

from sparkd.catalog import Catalogue, read_catalogue
from sparkd.catalog.definitions import Runtime
from sparkd.catalog.locations import catalogue_path
from sparkd.catalog.nearest import did_you_mean
from sparkd.cli import exits
from sparkd.cli.output import note, say, say_json
from sparkd.cli.terminal import out
from sparkd.errors import RuntimeNotFound
from sparkd.runtimes import build, installed, list_builds


class RuntimeStatus(Struct, frozen=True, kw_only=True):
    """A runtime and its build. `folder` is None while it is not built; `outdated`: an older definition was built."""

    name: str
    description: str
    folder: Path | None
    outdated: bool


def run(arguments: argparse.Namespace) -> int:
    """Build runtimes, or list them."""
    catalogue = read_catalogue(catalogue_path(arguments.catalogue))
    runtimes = _named(catalogue, arguments.names)
    root = catalogue.folder("runtimes")
    if arguments.action == "build":
        return _build(runtimes, root, as_json=arguments.json)
    return _list([_status(runtime, root) for runtime in runtimes], catalogue, as_json=arguments.json)


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


def _list(statuses: list[RuntimeStatus], catalogue: Catalogue, *, as_json: bool) -> int:
    if as_json:
        say_json(statuses)
    elif not statuses:
        say(f"There are no runtimes in {catalogue.folder('venvs')}.")
    else:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        for heading in ("RUNTIME", "STATE", "DESCRIPTION"):
            table.add_column(heading, overflow="fold")
        for status in statuses:
            style = "green" if status.folder else "yellow"
            table.add_row(Text(status.name), Text(state(status), style), Text(status.description))
        out().print(table)
    return exits.DONE


def _status(runtime: Runtime, root: Path) -> RuntimeStatus:
    folder = installed(runtime, root)
    older = folder is None and any(build.record.name == runtime.name for build in list_builds(root))
    return RuntimeStatus(name=runtime.name, description=runtime.description, folder=folder, outdated=older)


def state(status: RuntimeStatus) -> str:
    """ "built", or what is to be done."""
    if status.folder:
        return "built"
    return "changed since its build" if status.outdated else "not built"
