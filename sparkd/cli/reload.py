"""`sparkctl reload`: have the daemon read its catalogue again."""

from __future__ import annotations

import argparse

from sparkd.cli import exits
from sparkd.cli.output import note, say, say_json
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
            note(problem)
        note("sparkd goes on with the catalogue it has")
        return exits.FAILED
    if arguments.json:
        say_json(change)
    else:
        say(f"The catalogue is read again: {change.told()}.")
    return exits.DONE
