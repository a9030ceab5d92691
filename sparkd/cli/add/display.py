"""What `sparkctl add` prints: each guess with its origin, the memory arithmetic, warnings, and the next commands."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich.console import Group
from rich.table import Table
from rich.text import Text

from sparkd.catalog.messages import format_value
from sparkd.guessing import GuessedEntry

HIDDEN_FOLDERS = ("/home/", "/root/", "/run/user/", "/tmp/", "/var/tmp/")  # noqa: S108 - named, not used
"""Folders hidden by units/sparkd.service: ProtectHome and PrivateTmp of systemd.exec(5)."""


def render_guesses(entry: GuessedEntry, origin: str) -> Group:
    """All guesses."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("KEY", "VALUE", "FROM"):
        table.add_column(heading, overflow="fold")
    for guess in entry.guesses:
        table.add_row(Text(guess.key), Text(format_value(guess.value)), Text(guess.reason, "dim"))
    parts: list[Text | Table] = [Text(f"{entry.id}, from {origin}"), Text(), table]
    if entry.arithmetic:
        parts += [Text(), Text("memory:"), *(Text(f"  {line}") for line in entry.arithmetic)]
    if notes := list(_render_notes(entry)):
        parts += [Text(), *notes]
    return Group(*parts)


def list_next_commands(entry: GuessedEntry, *, on_disk: bool) -> list[str]:
    """The commands to run before the model can respond."""
    steps = [] if on_disk else [f"sparkctl pull {entry.id}"]
    return [*steps, "sparkctl reload", f"sparkctl plan {entry.id}", f"sparkctl load {entry.id}"]


def warn_about_hidden_folder(source: str) -> list[str]:
    """A warning about a folder that sparkd can read from a terminal but not as a service."""
    folder = next((folder for folder in HIDDEN_FOLDERS if source.startswith(folder)), None)
    if folder is None:
        return []
    return [f"under systemd, sparkd cannot read {folder}; move the model into the models folder"]


def describe_conflict(file: Path, defined: list[str]) -> str:
    """Why the drop-in is not written."""
    what = f"it defines {', '.join(defined)}" if defined else "it defines no model"
    return f"{file} already exists ({what}); delete it, edit it, or choose another id with --id"


def _render_notes(entry: GuessedEntry) -> Iterator[Text]:
    yield from (Text(f"note: {note}") for note in entry.notes)
    yield from (Text(f"warning: {warning}", "yellow") for warning in entry.warnings)
    if entry.untrusted:
        yield Text(f"warning: {entry.untrusted}, which would run on this machine", "yellow")
