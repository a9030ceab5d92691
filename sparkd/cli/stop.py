"""`sparkctl stop MODEL`: let a model finish what it has begun, then stop it."""

from __future__ import annotations

import argparse

from sparkd.cli import exits
from sparkd.cli.output import say, say_json
from sparkd.control.client import ControlClient, find_socket


def run(arguments: argparse.Namespace) -> int:
    """Stop, and wait until the model is stopped. The order stands also after Ctrl-C."""
    with ControlClient(find_socket(arguments.socket, arguments.catalogue)) as client:
        model = client.stop(arguments.model)
    if arguments.json:
        say_json(model)
    else:
        say(f"{model.id} is {model.state}")
    return exits.DONE
