"""`sparkctl reload`: reload the daemon's catalogue."""

from __future__ import annotations

import argparse

from sparkd.cli import exit_codes
from sparkd.cli.output.messages import print_json, print_line, print_note
from sparkd.control.client import ControlClient, find_socket
from sparkd.errors import CatalogueError, DaemonError


def run(arguments: argparse.Namespace) -> int:
    """Reload. If the catalogue has errors, print them; the daemon keeps the catalogue it has."""
    try:
        with ControlClient(find_socket(arguments.socket, arguments.catalogue)) as client:
            change = client.reload()
    except DaemonError as error:
        if arguments.json or error.code != CatalogueError.code:
            raise
        for problem in error.message.splitlines():
            print_note(problem)
        print_note("sparkd keeps the catalogue that it has; fix these problems and reload again")
        return exit_codes.FAILED
    if arguments.json:
        print_json(change)
    else:
        print_line(f"Catalogue reloaded: {change.describe()}.")
    return exit_codes.SUCCESS
