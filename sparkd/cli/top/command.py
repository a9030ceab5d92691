"""`sparkctl top`: models and requests as lists with keys, until `q`."""

from __future__ import annotations

import argparse
import sys

from rich.console import Console

from sparkd.cli import exit_codes
from sparkd.cli.output.messages import print_error
from sparkd.cli.screen.feed import Feed
from sparkd.cli.screen.loop import Loop, ScreenClosed
from sparkd.cli.screen.painter import Painter
from sparkd.cli.screen.style import choose_characters
from sparkd.cli.screen.terminal import can_show_screens, open_terminal
from sparkd.cli.top.top import Top
from sparkd.control.client import ControlClient, find_socket
from sparkd.errors import InvalidRequest

INTERVAL = 1.0
"""Seconds between two drawings of the screen."""


def run(arguments: argparse.Namespace) -> int:
    """Show the screen. Fails if there is no terminal, or no daemon."""
    if arguments.json or not can_show_screens() or not sys.stdin.isatty():
        message = "top needs a terminal. For programs, there is `sparkctl status --json`."
        print_error(InvalidRequest(message), as_json=arguments.json)
        return exit_codes.USAGE
    socket = find_socket(arguments.socket, arguments.catalogue)
    with ControlClient(socket) as client:
        client.status()  # a daemon that does not run is an error before the screen opens
    console = Console(file=sys.stdout, highlight=False, markup=False, emoji=False, force_terminal=True)
    feed = Feed(socket)
    feed.start()
    with open_terminal() as terminal:
        painter = Painter(terminal, console)
        loop = Loop(terminal, painter, INTERVAL)
        top = Top(socket, choose_characters(), loop.wake)

        def draw() -> None:
            if (view := feed.view()) is not None:
                top.show(view)
            top.deliver()
            painter.paint(top.draw(feed.problem, terminal.size()))

        try:
            loop.run(draw, top.on_key)
        except ScreenClosed as closed:
            return 128 + closed.number
    return exit_codes.SUCCESS
