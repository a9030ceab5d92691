"""`sparkctl reload`: have the daemon read its catalogue again."""

from __future__ import annotations

import argparse

from sparkd.cli import exit_codes
from sparkd.cli.output.messages import print_json, print_line, print_note
from sparkd.control.client import ControlClient, find_socket
from sparkd.errors import CatalogueError, DaemonError


def run(arguments: argparse.Namespace) -> int:
    """Reload. A catalogue that is wrong is told line by line, and the daemon goes on with the one it has."""
    try:
        with ControlClient(find_socket(arguments.socket, arguments.catalogue)) as client:
            change = client.reload()
    except DaemonError as error:
        if arguments.json or error.code != CatalogueError.code:
            raise
        for problem in error.message.splitlines():
            print_note(problem)
        print_note("sparkd goes on with the catalogue it has")
        return exit_codes.FAILED
    if arguments.json:
        print_json(change)
    else:
        print_line(f"The catalogue is read again: {change.describe()}.")
    return exit_codes.SUCCESS
