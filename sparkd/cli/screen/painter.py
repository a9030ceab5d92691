"""Puts lines on the screen, and writes only those that have changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.text import Text

from sparkd.cli.screen.style import clean_line
from sparkd.cli.screen.terminal import Terminal

_BEGIN, _END = "\x1b[?2026h", "\x1b[?2026l"
"""Terminals that know these show everything in between at once. Others ignore them."""

_CLEAR: Final = "\x1b[0m\x1b[2J"


class Painter:
    """What is on the terminal now."""

    def __init__(self, terminal: Terminal, console: Console) -> None:
        self._terminal = terminal
        self._console = console
        self._shown: list[str] = []
        self._size = (0, 0)

    def forget(self) -> None:
        """Something else may have written on the screen: write all of it the next time."""
        self._size = (0, 0)

    def paint(self, lines: Sequence[Text]) -> None:
        """Show these lines from the top. What does not fit is cut off."""
        columns, height = size = self._terminal.size()
        wanted = [self._render(line, columns) for line in lines[:height]]
        wanted += [""] * (height - len(wanted))
        pieces = []
        if size != self._size:
            pieces.append(_CLEAR)
            self._shown, self._size = [""] * height, size
        for number, (new, old) in enumerate(zip(wanted, self._shown, strict=True)):
            if new != old:
                pieces.append(f"\x1b[{number + 1};1H{new}\x1b[0m\x1b[K")
        self._shown = wanted
        if pieces:
            self._terminal.write(f"{_BEGIN}{''.join(pieces)}{_END}")

    def _render(self, line: Text, columns: int) -> str:
        with self._console.capture() as captured:
            self._console.print(
                clean_line(line), end="", no_wrap=True, overflow="crop", crop=True, width=columns
            )
        return captured.get().rstrip("\n")
