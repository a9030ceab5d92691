"""`sparkctl holds`: list the holds."""

from __future__ import annotations

import argparse

from sparkd.cli import exit_codes
from sparkd.cli.output.hold_table import render_holds
from sparkd.cli.output.messages import print_json, print_line
from sparkd.cli.output.terminal import stdout_console
from sparkd.control.client import ControlClient, find_socket


def run(arguments: argparse.Namespace) -> int:
    """Print the holds as a table."""
    with ControlClient(find_socket(arguments.socket, arguments.catalogue)) as client:
        holds = client.holds()
    if arguments.json:
        print_json(holds)
    elif holds:
        stdout_console().print(render_holds(holds))
    else:
        print_line("No model is held.")
    return exit_codes.SUCCESS
