"""`sparkctl status --watch` on a terminal."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

from sparkd.cli import exit_codes
from sparkd.cli.screen.feed import Feed
from sparkd.cli.screen.loop import Loop, ScreenClosed
from sparkd.cli.screen.overview import render_overview
from sparkd.cli.screen.painter import Painter
from sparkd.cli.screen.style import choose_characters
from sparkd.cli.screen.terminal import open_terminal


def watch(socket: Path, arguments: argparse.Namespace, model_id: str | None) -> int:
    """Show the machine until Ctrl-C or `q`, also while the daemon restarts."""
    characters = choose_characters()
    console = Console(file=sys.stdout, highlight=False, markup=False, emoji=False, force_terminal=True)
    feed = Feed(socket)
    feed.start()
    with open_terminal() as terminal:
        painter = Painter(terminal, console)

        def draw() -> None:
            view = feed.view()
            if view is None:
                painter.paint([Text(feed.error or "")])
                return
            lines = render_overview(
                view, feed.problem, terminal.size(), characters, disabled_too=arguments.all, only=model_id
            )
            painter.paint(lines)

        try:
            Loop(terminal, painter, arguments.interval).run(draw, lambda key: key != "q")
        except ScreenClosed as closed:
            return 128 + closed.number
    return exit_codes.SUCCESS
