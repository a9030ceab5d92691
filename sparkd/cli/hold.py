"""`sparkctl hold MODEL --for TIME`: load a model and keep it loaded for a time."""

from __future__ import annotations

import argparse
import getpass
import os

from sparkd.cli import exit_codes
from sparkd.cli.output.hold_table import format_end
from sparkd.cli.output.messages import print_json, print_line
from sparkd.control.client import ControlClient, find_socket
from sparkd.scheduling.hold import HoldRequest


def run(arguments: argparse.Namespace) -> int:
    """Begin the hold. The model loads meanwhile: `sparkctl status` shows it."""
    request = HoldRequest(
        seconds=arguments.seconds, owner=_user(), job=arguments.job, reason=arguments.reason
    )
    with ControlClient(find_socket(arguments.socket, arguments.catalogue)) as client:
        hold = client.hold(arguments.model, request)
    if arguments.json:
        print_json(hold)
    else:
        print_line(
            f"{hold.model} is held until {format_end(hold)}. End that with `sparkctl release {hold.id}`."
        )
    return exit_codes.SUCCESS


def _user() -> str:
    """The name of the user who runs the command."""
    if name := os.environ.get("SUDO_USER"):
        return name
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # the user has no name
        return ""
