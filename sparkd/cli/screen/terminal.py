"""The terminal while a screen is shown: alternate screen, hidden cursor, raw keys. Afterwards it is as before."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import termios
from collections.abc import Iterator
from typing import Any, Final

_ENTER: Final = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[?2004h\x1b[2J"
"""The alternate screen, no cursor, no wrapping, and pastes with marks around them."""

_LEAVE: Final = "\x1b[?2004l\x1b[?7h\x1b[0m\x1b[?25h\x1b[?1049l"

_CC: Final = 6
"""Index of the control characters in what tcgetattr returns."""


class Terminal:
    """The terminal of stdout, and of stdin if that is one too. Ctrl-C stays a signal."""

    def __init__(self) -> None:
        self.output = sys.stdout.fileno()
        self.input = sys.stdin.fileno() if _is_terminal(sys.stdin) else None
        self._saved: list[Any] | None = None

    def size(self) -> tuple[int, int]:
        """Columns and lines. 80 and 24 if the terminal does not know."""
        try:
            columns, lines = os.get_terminal_size(self.output)
        except OSError:  # it is gone
            return 80, 24
        return columns or 80, lines or 24

    def read(self) -> bytes | None:
        """What has been typed; None if the terminal is gone. Call it only if there is something to read."""
        if self.input is None:
            return b""
        try:
            return os.read(self.input, 4096) or None
        except InterruptedError:
            return b""
        except OSError:
            return None

    def write(self, text: str) -> None:
        """Write the whole text."""
        data = text.encode(sys.stdout.encoding or "ascii", errors="replace")
        while data:
            data = data[os.write(self.output, data) :]

    def enter(self) -> None:
        """Begin to show a screen."""
        if self.input is not None:
            self._saved = termios.tcgetattr(self.input)
            raw = termios.tcgetattr(self.input)
            raw[0] &= ~(termios.IXON | termios.ICRNL)  # Ctrl-S must not freeze the screen
            raw[3] &= ~(termios.ECHO | termios.ICANON | termios.IEXTEN)
            raw[_CC][termios.VMIN], raw[_CC][termios.VTIME] = 1, 0
            termios.tcsetattr(self.input, termios.TCSADRAIN, raw)
        self.write(_ENTER)

    def leave(self) -> None:
        """Return to what was there before. Does nothing if the terminal is gone."""
        with contextlib.suppress(OSError):
            self.write(_LEAVE)
        if self.input is not None and self._saved is not None:
            with contextlib.suppress(termios.error, OSError):
                termios.tcsetattr(self.input, termios.TCSADRAIN, self._saved)

    def suspend(self) -> None:
        """Leave, stop this process as Ctrl-Z does, and enter again once it continues."""
        self.leave()
        previous = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, previous)
        self.enter()


@contextlib.contextmanager
def open_terminal() -> Iterator[Terminal]:
    """Show a screen while the block runs, also if it ends with an exception."""
    terminal = Terminal()
    try:
        terminal.enter()
        yield terminal
    finally:
        # A second Ctrl-C must not end the process before the terminal is as it was.
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
        terminal.leave()
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def can_show_screens() -> bool:
    """Whether stdout is a terminal that can move its cursor."""
    return _is_terminal(sys.stdout) and os.environ.get("TERM", "dumb") not in ("dumb", "")


def _is_terminal(stream: Any) -> bool:
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):  # closed
        return False
