"""`sparkctl stop MODEL`: let a model finish its responses, then stop it."""

from __future__ import annotations

import argparse

from sparkd.cli import exit_codes
from sparkd.cli.output.messages import print_json, print_line
from sparkd.control.client import ControlClient, find_socket


def run(arguments: argparse.Namespace) -> int:
    """Stop the model and wait until it is stopped. Ctrl-C does not cancel the stop."""
    with ControlClient(find_socket(arguments.socket, arguments.catalogue)) as client:
        model = client.stop(arguments.model)
    if arguments.json:
        print_json(model)
    else:
        print_line(f"{model.id} is {model.state}")
    return exit_codes.SUCCESS
