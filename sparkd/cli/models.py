"""`sparkctl models`: what is on disk of every model, and what no model needs."""

from __future__ import annotations

import argparse

from rich.console import Group
from rich.table import Table
from rich.text import Text

from sparkd.cli import exits
from sparkd.cli.files import catalogue_of
from sparkd.cli.output import say_json
from sparkd.cli.terminal import out
from sparkd.cli.wording import number
from sparkd.client import ControlClient, find_socket
from sparkd.errors import DaemonUnreachable
from sparkd.hub.findings import ModelFiles, OnDisk
from sparkd.hub.reading import inventory
from sparkd.hub.telling import amount

STYLES = {"whole": "green", "incomplete": "yellow", "absent": "dim", "unknown": "dim"}
NAMED = 3
"""Missing files that are named one by one."""


def run(arguments: argparse.Namespace) -> int:
    """Look here, or through the daemon where this user may not look."""
    found = _look(arguments)
    if arguments.json:
        say_json(found)
    else:
        out().print(_listing(found))
    return exits.DONE


def _look(arguments: argparse.Namespace) -> list[ModelFiles]:
    catalogue = catalogue_of(arguments.catalogue)
    found = inventory(catalogue.models.values(), catalogue.folder("models"))
    if not any(part.state == "unknown" for files in found for part in files.parts):
        return found
    try:
        with ControlClient(find_socket(arguments.socket, arguments.catalogue)) as client:
            return client.files()
    except DaemonUnreachable:
        return found


def _listing(found: list[ModelFiles]) -> Group:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("MODEL", overflow="fold")
    table.add_column("ON DISK", justify="right", no_wrap=True)
    table.add_column("STATE", overflow="fold")
    table.add_column("SOURCE", overflow="fold")
    for files in found:
        name = files.model or ""
        for part in files.parts:
            held = amount(part.held) if part.held else "-"
            style = STYLES[part.state] if files.model else "magenta"
            table.add_row(
                Text(name, "" if files.enabled else "dim"), held, Text(state(part, files), style), part.source
            )
            name = ""
    unused = [part for files in found if not files.model for part in files.parts]
    if not unused:
        return Group(table)
    total = amount(sum(part.held for part in unused))
    return Group(
        table,
        Text(),
        Text(f"{number(len(unused), 'repository', 'repositories')} ({total}) that no model needs."),
    )


def state(part: OnDisk, files: ModelFiles) -> str:
    """Such as "whole", "missing 3 files, 1.2 GiB to download"."""
    left = f", {amount(part.left)} to download" if part.left else ""
    if files.model is None:
        words = "no model needs it"
    elif part.fetching:
        words = f"being downloaded{left}"
    elif part.state == "incomplete":
        words = f"{_missing(part)}{left}"
    else:
        words = {"whole": "whole", "absent": f"not on disk{left}", "unknown": "not for this user to see"}[
            part.state
        ]
    return words if files.enabled else f"{words}; the model is disabled"


def _missing(part: OnDisk) -> str:
    if not part.missing:
        return "not finished"
    few = len(part.missing) <= NAMED
    return f"missing {', '.join(part.missing) if few else number(len(part.missing), 'file')}"
