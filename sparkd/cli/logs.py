"""`sparkctl logs MODEL`: print the output of a model's engine."""

from __future__ import annotations

import argparse

from sparkd.cli import exit_codes
from sparkd.cli.output.messages import print_json, print_line, print_note
from sparkd.control.client import ControlClient, find_socket


def run(arguments: argparse.Namespace) -> int:
    """Print the last lines; with `--follow`, continue until the process ends. `--json`: one object per line."""
    with ControlClient(find_socket(arguments.socket, arguments.catalogue)) as client:
        for line in client.logs(arguments.model, lines=arguments.lines, follow=arguments.follow):
            if arguments.json:
                print_json({"line": line})
            else:
                print_line(line)
    if arguments.follow:
        print_note(f"the process of {arguments.model} has ended")
    return exit_codes.SUCCESS
