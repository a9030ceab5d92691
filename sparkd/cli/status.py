"""`sparkctl status`: show running models, waiting requests and free memory."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

from rich.console import Group
from rich.live import Live
from rich.text import Text

from sparkd.cli import exit_codes
from sparkd.cli.output.messages import print_json
from sparkd.cli.output.status_table import render_model, render_status
from sparkd.cli.output.terminal import stdout_console
from sparkd.control.client import ControlClient, find_socket
from sparkd.errors import DaemonUnreachable
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

        if arguments.watch and sys.stdout.isatty() and not arguments.json:
            _watch(lambda: render(fetch()), arguments.interval)
        output = print_json if arguments.json else lambda status: stdout_console().print(render(status))
        output(fetch())
        while arguments.watch:
            time.sleep(arguments.interval)
            output(fetch())
    return exit_codes.SUCCESS


def _watch(render: Callable[[], Group], interval: float) -> None:
    """Redraw in place until Ctrl-C, even while the daemon restarts."""
    with Live(render(), console=stdout_console(), screen=True, auto_refresh=False) as live:
        while True:
            time.sleep(interval)
            try:
                live.update(render(), refresh=True)
            except DaemonUnreachable as error:
                live.update(Group(Text(error.message, style="red")), refresh=True)
