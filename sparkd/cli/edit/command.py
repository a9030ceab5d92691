"""`sparkctl edit`: edit a drop-in; check it, show the plan, write it and reload."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sparkd.cli import exit_codes
from sparkd.cli.edit.desk import Desk, open_desk
from sparkd.cli.edit.editor import draft, run_editor
from sparkd.cli.output.formatting import format_count
from sparkd.cli.output.messages import ask_confirmation, print_json, print_line, print_note
from sparkd.control.catalogue_types import CheckResult, FileText
from sparkd.errors import CatalogueFileNotFound, DaemonError, InvalidRequest

NEW = "# Settings in this file override those of models.toml. `sparkctl edit` checks it before it is written.\n\n"


def run(arguments: argparse.Namespace) -> int:
    """Edit, or list the files without a name."""
    with open_desk(arguments.socket, arguments.catalogue) as desk:
        if arguments.file is None and arguments.override is None:
            return _list_files(desk, as_json=arguments.json)
        return _edit(desk, arguments)


def name_drop_in(given: str) -> str:
    """The full name of a file: `own` and `own.toml` mean `models.d/own.toml`."""
    name = given if given.endswith(".toml") else f"{given}.toml"
    return name if "/" in name else f"models.d/{name}"


def _edit(desk: Desk, arguments: argparse.Namespace) -> int:
    start = desk.override_start(arguments.override) if arguments.override else None
    name = name_drop_in(arguments.file) if arguments.file or start is None else start.file
    old = _read(desk, name)
    if old is not None and not old.editable:
        raise InvalidRequest(f"{name} cannot be edited. {old.reason}")
    if arguments.delete:
        return _delete(desk, name, old, arguments)
    begin = old.text if old else start.text if start else NEW
    if old is not None and start is not None:
        begin = f"{old.text.rstrip()}\n\n{start.text}" if old.text.strip() else start.text
    if arguments.source is not None:
        return _write(desk, name, _read_source(arguments.source), old, arguments)
    if not sys.stdin.isatty():
        raise InvalidRequest("an editor needs a terminal; --from takes the text from a file or from stdin")
    with draft(name, begin) as path:
        while True:
            text = run_editor(path)
            if text == begin:
                print_note("nothing was changed")
                return exit_codes.SUCCESS
            if not (checked := desk.check_file(name, text)).problems:
                return _write(desk, name, text, old, arguments, checked=checked)
            _print_problems(checked)
            if not ask_confirmation("Edit again?", default=True):
                return exit_codes.FAILED


def _write(
    desk: Desk,
    name: str,
    text: str,
    old: FileText | None,
    arguments: argparse.Namespace,
    *,
    checked: CheckResult | None = None,
) -> int:
    checked = checked or desk.check_file(name, text)
    if checked.problems:
        if arguments.json:
            print_json(checked)
        else:
            _print_problems(checked)
        return exit_codes.FAILED
    if not _confirm(checked, arguments):
        return exit_codes.FAILED
    written = desk.write_file(name, text, old.digest if old else None)
    if arguments.json:
        print_json(written)
    else:
        print_line(f"Wrote {name}: {written.describe_change()}. `sparkctl undo` restores the old text.")
    return exit_codes.SUCCESS


def _delete(desk: Desk, name: str, old: FileText | None, arguments: argparse.Namespace) -> int:
    if old is None:
        raise CatalogueFileNotFound(f"there is no {name}")
    checked = desk.check_file(name, None)
    if checked.problems:
        _print_problems(checked)
        return exit_codes.FAILED
    if not _confirm(checked, arguments):
        return exit_codes.FAILED
    written = desk.delete_file(name, old.digest)
    if arguments.json:
        print_json(written)
    else:
        print_line(f"Deleted {name}: {written.describe_change()}. `sparkctl undo` restores it.")
    return exit_codes.SUCCESS


def _confirm(checked: CheckResult, arguments: argparse.Namespace) -> bool:
    """Show what would change, and ask unless --yes. Raises InvalidRequest without a terminal."""
    if arguments.yes:
        return True
    if arguments.json or not sys.stdin.isatty():
        raise InvalidRequest("cannot ask for confirmation without a terminal; --yes writes the file")
    for line in checked.diff:
        print_line(line)
    for note in checked.notes:
        print_note(f"note: {note}")
    if checked.plan is not None:
        print_line(f"A reload would do this: {checked.plan.text}.")
    if ask_confirmation("Write and reload?", default=not (checked.plan and checked.plan.stopped)):
        return True
    print_note("nothing was written")
    return False


def _read(desk: Desk, name: str) -> FileText | None:
    try:
        return desk.catalogue_file(name)
    except CatalogueFileNotFound:
        return None
    except DaemonError as error:
        if error.code == CatalogueFileNotFound.code:
            return None
        raise


def _read_source(source: str) -> str:
    try:
        data = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
        return data.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"cannot read {source}: {error}") from error


def _print_problems(checked: CheckResult) -> None:
    for problem in checked.problems:
        print_line(problem.describe())
    print_note(f"{format_count(len(checked.problems), 'problem')}; nothing was written")


def _list_files(desk: Desk, *, as_json: bool) -> int:
    overview = desk.catalogue()
    if as_json:
        print_json(overview)
        return exit_codes.SUCCESS
    for file in overview.files:
        names = [f"{len(found)} {kind}" for kind, found in file.defines.items()]
        parts = ", ".join([*names, *file.settings]) or "empty"
        print_line(f"{file.name}  {parts}" + ("" if file.editable else "  (read only)"))
    return exit_codes.SUCCESS
