"""`sparkctl models`: list what is on disk for every model, and what no model needs."""

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

STYLES = {"complete": "green", "incomplete": "yellow", "absent": "dim", "unknown": "dim"}
MAX_NAMED_FILES = 3
"""Up to this many missing files are listed by name."""


def run(arguments: argparse.Namespace) -> int:
    """Read the disk, or ask the daemon if this user has no access."""
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
    """Models on disk come first. Disabled ones are listed only if they use disk space, unless all are wanted."""
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
    """Bytes of its own source. Encodings do not count, because models share them."""
    return files.parts[0].size if files.parts else 0


def _render_totals(found: list[ModelFiles], models: Path) -> Iterator[Text]:
    """The total size, each source counted once, and the free space."""
    sizes = {part.source: part.size for files in found for part in files.parts}
    total = format_bytes(sum(sizes.values())) if any(sizes.values()) else "nothing"
    yield Text(f"{total} on disk, {format_bytes(free_space(models))} free in {models}")
    unused = [part for files in found if not files.model for part in files.parts]
    if unused:
        count = format_count(len(unused), "repository", "repositories")
        size = format_bytes(sum(part.size for part in unused))
        yield Text(f"no model needs {count} ({size}): you can delete its folder in {cache_folder(models)}")


def describe_state(files: ModelFiles) -> str:
    """Such as "complete", "missing 3 files, 1.2 GiB to download"."""
    if files.model is None:
        return "no model needs it"
    parts = files.parts
    left = sum(part.bytes_left or 0 for part in parts)
    rest = f", {format_bytes(left)} to download" if left else ""
    labels = {"complete": "complete", "absent": "not on disk", "unknown": "no access for this user"}
    text = labels.get(combine_states(parts)) or _describe_missing(parts)
    if any(part.downloading for part in parts):
        text = "downloading"
    if combine_states(parts) == "absent" and parts[0].bytes_left is None:
        rest = ""  # its size is not known yet
    text += rest
    return text if files.enabled else f"{text}; the model is disabled"


def _describe_missing(parts: tuple[SourceOnDisk, ...]) -> str:
    """What is missing, by name if there are few files."""
    names = [name for part in parts if part.state != "complete" for name in part.missing or (part.source,)]
    if names == [parts[0].source]:
        return "not finished"
    return (
        f"missing {', '.join(names) if len(names) <= MAX_NAMED_FILES else format_count(len(names), 'file')}"
    )
