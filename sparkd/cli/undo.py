"""`sparkctl undo`: undo the last edit of a drop-in, or list the last edits."""

from __future__ import annotations

import argparse
from datetime import datetime

from sparkd.cli import exit_codes
from sparkd.cli.edit.desk import open_desk
from sparkd.cli.output.messages import print_json, print_line
from sparkd.editing.edits import EditSummary


def run(arguments: argparse.Namespace) -> int:
    """Undo, or list with --list."""
    with open_desk(arguments.socket, arguments.catalogue) as desk:
        if arguments.list:
            edits = desk.catalogue().edits
            if arguments.json:
                print_json(edits)
            else:
                for line in map(_describe, edits):
                    print_line(line)
            return exit_codes.SUCCESS
        written = desk.undo_edit(arguments.edit)
    if arguments.json:
        print_json(written)
    else:
        what = "deleted again" if written.digest is None else "written"
        print_line(f"Edit {written.edit}: {written.file} is {what}; {written.describe_change()}.")
    return exit_codes.SUCCESS


def _describe(edit: EditSummary) -> str:
    when = datetime.fromtimestamp(edit.at).strftime("%Y-%m-%d %H:%M:%S")
    state = "undone" if edit.undone is not None else "" if edit.can_undo else "the file has changed since"
    return f"{edit.id:>4}  {when}  {edit.kind} {edit.file}  +{edit.added} -{edit.removed}  {state}".rstrip()
