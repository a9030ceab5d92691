"""`sparkctl models`: what is on disk of every model, and what no model needs."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from rich.console import Group
from rich.table import Table
from rich.text import Text

from sparkd.cli import exit_codes
from sparkd.cli.output.formatting import format_count
from sparkd.cli.output.messages import print_json
from sparkd.cli.output.terminal import stdout_console
from sparkd.cli.storage.downloads import load_catalogue
from sparkd.cli.storage.folders import free_space
from sparkd.control.client import ControlClient, find_socket
from sparkd.errors import DaemonUnreachable
from sparkd.hub.files import ModelFiles, SourceOnDisk, combine_states
from sparkd.hub.inspection import take_inventory
from sparkd.hub.layout import cache_folder
from sparkd.hub.messages import format_bytes

STYLES = {"whole": "green", "incomplete": "yellow", "absent": "dim", "unknown": "dim"}
MAX_NAMED_FILES = 3
"""Missing files that are named one by one."""


def run(arguments: argparse.Namespace) -> int:
    """Look here, or through the daemon where this user may not look."""
    catalogue = load_catalogue(arguments.catalogue)
    models = catalogue.folder("models")
    found = take_inventory(catalogue.models.values(), models)
    if any(part.state == "unknown" for files in found for part in files.parts):
        found = _ask_daemon(arguments) or found
    if arguments.json:
        print_json(found)
    else:
        stdout_console().print(_render_listing(found, models, disabled_too=arguments.all))
    return exit_codes.SUCCESS


def _ask_daemon(arguments: argparse.Namespace) -> list[ModelFiles]:
    try:
        with ControlClient(find_socket(arguments.socket, arguments.catalogue)) as client:
            return client.files()
    except DaemonUnreachable:
        return []


def _render_listing(found: list[ModelFiles], models: Path, *, disabled_too: bool) -> Group:
    """What is on disk comes first; of disabled models only those that take room there, unless all are wanted."""
    shown = [files for files in found if files.enabled or disabled_too or _size_on_disk(files)]
    shown.sort(key=lambda files: (files.model is None, not _size_on_disk(files)))
    lines = list(_render_totals(found, models))
    if hidden := len(found) - len(shown):
        lines.append(Text(f"{format_count(hidden, 'disabled model')} not shown; --all shows them.", "dim"))
    return Group(_render_table(shown), Text(), *lines)


def _render_table(shown: list[ModelFiles]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("MODEL", overflow="fold")
    table.add_column("ON DISK", justify="right", no_wrap=True)
    table.add_column("STATE", overflow="fold")
    table.add_column("SOURCE", overflow="fold")
    for files in shown:
        style = STYLES[combine_states(files.parts)] if files.model else "magenta"
        table.add_row(
            Text(files.model or "-", "" if files.enabled else "dim"),
            format_bytes(_size_on_disk(files)) if _size_on_disk(files) else "-",
            Text(describe_state(files), style),
            " + ".join(part.source for part in files.parts) or "none needed",
        )
    return table


def _size_on_disk(files: ModelFiles) -> int:
    """Bytes of its own: encodings, which several models share, are no sign that one of them is there."""
    return files.parts[0].held if files.parts else 0


def _render_totals(found: list[ModelFiles], models: Path) -> Iterator[Text]:
    """What all of it takes, each source once, and what is left."""
    sizes = {part.source: part.held for files in found for part in files.parts}
    total = format_bytes(sum(sizes.values())) if any(sizes.values()) else "nothing"
    yield Text(f"{total} on disk, {format_bytes(free_space(models))} free in {models}")
    unused = [part for files in found if not files.model for part in files.parts]
    if unused:
        count = format_count(len(unused), "repository", "repositories")
        size = format_bytes(sum(part.held for part in unused))
        yield Text(f"no model needs {count} ({size}): its folder in {cache_folder(models)} may be removed")


def describe_state(files: ModelFiles) -> str:
    """Such as "whole", "missing 3 files, 1.2 GiB to download"."""
    if files.model is None:
        return "no model needs it"
    parts = files.parts
    left = sum(part.left or 0 for part in parts)
    rest = f", {format_bytes(left)} to download" if left else ""
    labels = {"whole": "whole", "absent": "not on disk", "unknown": "not for this user to see"}
    text = labels.get(combine_states(parts)) or _describe_missing(parts)
    if any(part.fetching for part in parts):
        text = "being downloaded"
    if combine_states(parts) == "absent" and parts[0].left is None:
        rest = ""  # nobody has told yet how big it is
    text += rest
    return text if files.enabled else f"{text}; the model is disabled"


def _describe_missing(parts: tuple[SourceOnDisk, ...]) -> str:
    """What is lacking, by name where that is few."""
    names = [name for part in parts if part.state != "whole" for name in part.missing or (part.source,)]
    if names == [parts[0].source]:
        return "not finished"
    return (
        f"missing {', '.join(names) if len(names) <= MAX_NAMED_FILES else format_count(len(names), 'file')}"
    )
