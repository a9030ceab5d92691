"""`sparkctl status`: what runs, who waits, what memory is left."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

from rich.console import Group
from rich.live import Live
from rich.text import Text

from sparkd.cli import exits
from sparkd.cli.output import say_json
from sparkd.cli.table import overview, single
from sparkd.cli.terminal import out
from sparkd.control.client import ControlClient, find_socket
from sparkd.errors import DaemonUnreachable
from sparkd.scheduling.status import ModelStatus, Status


def run(arguments: argparse.Namespace) -> int:
    """Print the status once, or until Ctrl-C."""
    with ControlClient(find_socket(arguments.socket, arguments.catalogue)) as client:

        def look() -> Status | ModelStatus:
            return client.model(arguments.model) if arguments.model else client.status()

        def draw(status: Status | ModelStatus) -> Group:
            if isinstance(status, ModelStatus):
                return single(status)
            return overview(status, disabled_too=arguments.all)

        if arguments.watch and sys.stdout.isatty() and not arguments.json:
            _watch(lambda: draw(look()), arguments.interval)
        show = say_json if arguments.json else lambda status: out().print(draw(status))
        show(look())
        while arguments.watch:
            time.sleep(arguments.interval)
            show(look())
    return exits.DONE


def _watch(drawing: Callable[[], Group], interval: float) -> None:
    """Redraw in place until Ctrl-C, also across a restart of the daemon."""
    with Live(drawing(), console=out(), screen=True, auto_refresh=False) as live:
        while True:
            time.sleep(interval)
            try:
                live.update(drawing(), refresh=True)
            except DaemonUnreachable as error:
                live.update(Group(Text(error.message, style="red")), refresh=True)
