"""`sparkctl release HOLD`: end a hold."""

from __future__ import annotations

import argparse

from sparkd.cli import exit_codes
from sparkd.cli.output.messages import print_json, print_line
from sparkd.control.client import ControlClient, find_socket


def run(arguments: argparse.Namespace) -> int:
    """End the hold. Its model stays loaded until it is idle for too long, or another one needs its memory."""
    with ControlClient(find_socket(arguments.socket, arguments.catalogue)) as client:
        hold = client.release(arguments.hold)
    if arguments.json:
        print_json(hold)
    else:
        print_line(f"{hold.model} is no longer held by {hold.id}")
    return exit_codes.SUCCESS
