"""The arguments of `sparkctl edit` and `sparkctl undo`."""

from __future__ import annotations

import argparse
from collections.abc import Callable

DefineCommand = Callable[[str, str], argparse.ArgumentParser]
"""Defines a command by its name and purpose."""


def define_edit_commands(define: DefineCommand) -> None:
    """Define the commands that change the catalogue's files."""
    edit = define("edit", "edit a drop-in of the catalogue: check it, show the plan, write it and reload")
    edit.add_argument(
        "file",
        nargs="?",
        metavar="FILE",
        help="its name in models.d, such as own.toml or own; without it, list the files",
    )
    edit.add_argument("--override", metavar="MODEL", help="start with the current values of this model")
    edit.add_argument(
        "--from", dest="source", metavar="PATH", help="take the new text from this file, - for stdin"
    )
    edit.add_argument("--delete", action="store_true", help="delete the drop-in")
    edit.add_argument("-y", "--yes", action="store_true", help="write it without confirmation")
    undo = define("undo", "undo the last edit of a drop-in, then reload")
    undo.add_argument(
        "edit", nargs="?", type=int, metavar="EDIT", help="id of an edit; one that was undone is made again"
    )
    undo.add_argument("-l", "--list", action="store_true", help="list the last edits")
