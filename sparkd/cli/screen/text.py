"""Texts as lines of a screen."""

from __future__ import annotations

from rich.console import Console, RenderableType
from rich.text import Text

from sparkd.cli.screen.style import clean, clean_line


def render_lines(renderable: RenderableType, width: int) -> list[Text]:
    """What Rich prints, as lines."""
    console = Console(width=max(width, 20), highlight=False, markup=False, emoji=False, force_terminal=True)
    return [
        Text.assemble(*((clean(segment.text), segment.style or "") for segment in row if not segment.control))
        for row in console.render_lines(renderable, pad=False)
    ]


def render_log_line(line: str) -> Text:
    """A line of an engine's log: its colours are kept, nothing else in it controls the terminal.

    Logs have the pictures of control characters in place of them.
    """
    return clean_line(Text.from_ansi(line.replace("\N{SYMBOL FOR ESCAPE}", "\x1b")))


def wrap(line: Text, width: int) -> list[Text]:
    """The line in pieces of at most `width` cells, broken at blanks."""
    console = Console(width=max(width, 8), highlight=False, markup=False, emoji=False)
    return list(line.wrap(console, max(width, 8))) or [Text()]
