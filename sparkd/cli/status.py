"""`sparkctl status`: show running models, waiting requests and free memory."""

from __future__ import annotations

import argparse
import time

from rich.console import Group

from sparkd.cli import exit_codes
from sparkd.cli.output.messages import print_json
from sparkd.cli.output.status_table import render_model, render_status
from sparkd.cli.output.terminal import stdout_console
from sparkd.cli.screen.terminal import can_show_screens
from sparkd.cli.screen.watch import watch
from sparkd.control.client import ControlClient, find_socket
from sparkd.scheduling.status import ModelStatus, Status


def run(arguments: argparse.Namespace) -> int:
    """Print the status once, or until Ctrl-C."""
    with ControlClient(find_socket(arguments.socket, arguments.catalogue)) as client:

        def fetch() -> Status | ModelStatus:
            return client.model(arguments.model) if arguments.model else client.status()

        def render(status: Status | ModelStatus) -> Group:
            if isinstance(status, ModelStatus):
                return render_model(status)
            return render_status(status, disabled_too=arguments.all)

        if arguments.watch and can_show_screens() and not arguments.json:
            first = fetch()  # what cannot be shown is an error before the screen opens
            return watch(client.socket, arguments, first.id if isinstance(first, ModelStatus) else None)
        output = print_json if arguments.json else lambda status: stdout_console().print(render(status))
        output(fetch())
        while arguments.watch:
            time.sleep(arguments.interval)
            output(fetch())
    return exit_codes.SUCCESS
