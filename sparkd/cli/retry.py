"""`sparkctl retry MODEL`: allow a failed model to start again at once, and accept all requests for it."""

from __future__ import annotations

import argparse

from sparkd.cli import exit_codes
from sparkd.cli.output.messages import print_json, print_line
from sparkd.control.client import ControlClient, find_socket


def run(arguments: argparse.Namespace) -> int:
    """End backoff, quarantine and the rejection of requests. The model starts with the next request, or with `load`."""
    with ControlClient(find_socket(arguments.socket, arguments.catalogue)) as client:
        model = client.retry(arguments.model)
    if arguments.json:
        print_json(model)
    else:
        print_line(f"{model.id} is {model.state}; the next request for it starts it")
    return exit_codes.SUCCESS
