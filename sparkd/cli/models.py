"""`sparkctl models`: what is on disk of every model, and what no model needs."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from rich.console import Group
from rich.table import Table
from rich.text import Text

from sparkd.cli import exits
from sparkd.cli.files import catalogue_of
from sparkd.cli.folders import free_in
from sparkd.cli.output import say_json
from sparkd.cli.terminal import out
from sparkd.cli.wording import number
from sparkd.control.client import ControlClient, find_socket
from sparkd.errors import DaemonUnreachable
from sparkd.hub.findings import ModelFiles, OnDisk, presence
from sparkd.hub.layout import cache
from sparkd.hub.reading import inventory
from sparkd.hub.telling import amount

STYLES = {"whole": "green", "incomplete": "yellow", "absent": "dim", "unknown": "dim"}
NAMED = 3
"""Missing files that are named one by one."""


def run(arguments: argparse.Namespace) -> int:
    """Look here, or through the daemon where this user may not look."""
    catalogue = catalogue_of(arguments.catalogue)
    models = catalogue.folder("models")
    found = inventory(catalogue.models.values(), models)
    if any(part.state == "unknown" for files in found for part in files.parts):
        found = _asked(arguments) or found
    if arguments.json:
        say_json(found)
    else:
        out().print(_listing(found, models, disabled_too=arguments.all))
    return exits.DONE


def _asked(arguments: argparse.Namespace) -> list[ModelFiles]:
    try:
        with ControlClient(find_socket(arguments.socket, arguments.catalogue)) as client:
            return client.files()
    except DaemonUnreachable:
        return []


def _listing(found: list[ModelFiles], models: Path, *, disabled_too: bool) -> Group:
    """What is on disk comes first; of disabled models only those that take room there, unless all are wanted."""
    shown = [files for files in found if files.enabled or disabled_too or _held(files)]
    shown.sort(key=lambda files: (files.model is None, not _held(files)))
    lines = list(_totals(found, models))
    if hidden := len(found) - len(shown):
        lines.append(Text(f"{number(hidden, 'disabled model')} not shown; --all shows them.", "dim"))
    return Group(_table(shown), Text(), *lines)


def _table(shown: list[ModelFiles]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("MODEL", overflow="fold")
    table.add_column("ON DISK", justify="right", no_wrap=True)
    table.add_column("STATE", overflow="fold")
    table.add_column("SOURCE", overflow="fold")
    for files in shown:
        style = STYLES[presence(files.parts)] if files.model else "magenta"
        table.add_row(
            Text(files.model or "-", "" if files.enabled else "dim"),
            amount(_held(files)) if _held(files) else "-",
            Text(state(files), style),
            " + ".join(part.source for part in files.parts) or "none needed",
        )
    return table


def _held(files: ModelFiles) -> int:
    """Bytes of its own: encodings, which several models share, are no sign that one of them is there."""
    return files.parts[0].held if files.parts else 0


def _totals(found: list[ModelFiles], models: Path) -> Iterator[Text]:
    """What all of it takes, each source once, and what is left."""
    held = {part.source: part.held for files in found for part in files.parts}
    total = amount(sum(held.values())) if any(held.values()) else "nothing"
    yield Text(f"{total} on disk, {amount(free_in(models))} free in {models}")
    unused = [part for files in found if not files.model for part in files.parts]
    if unused:
        count = number(len(unused), "repository", "repositories")
        size = amount(sum(part.held for part in unused))
        yield Text(f"no model needs {count} ({size}): its folder in {cache(models)} may be removed")


def state(files: ModelFiles) -> str:
    """Such as "whole", "missing 3 files, 1.2 GiB to download"."""
    if files.model is None:
        return "no model needs it"
    parts = files.parts
    left = sum(part.left or 0 for part in parts)
    rest = f", {amount(left)} to download" if left else ""
    words = {"whole": "whole", "absent": "not on disk", "unknown": "not for this user to see"}
    told = words.get(presence(parts)) or _missing(parts)
    if any(part.fetching for part in parts):
        told = "being downloaded"
    if presence(parts) == "absent" and parts[0].left is None:
        rest = ""  # nobody has told yet how big it is
    told += rest
    return told if files.enabled else f"{told}; the model is disabled"


def _missing(parts: tuple[OnDisk, ...]) -> str:
    """What is lacking, by name where that is few."""
    names = [name for part in parts if part.state != "whole" for name in part.missing or (part.source,)]
    if names == [parts[0].source]:
        return "not finished"
    return f"missing {', '.join(names) if len(names) <= NAMED else number(len(names), 'file')}"
