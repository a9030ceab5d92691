"""A program on a pseudo-terminal, and what its screen shows: only what the screens of sparkctl write is understood."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.cells import cell_len

from tests.cli.running import clean_environment

SEQUENCE = re.compile(r"\x1b(?:\[([0-?]*)([ -/]*[@-~])|\][^\x07\x1b]*(?:\x07|\x1b\\)|[()][A-Z0-9]|[=>78])")
UNFINISHED = re.compile(r"\x1b(?:\[[0-?]*|\][^\x07]*)?\Z")


class Screen:
    """What a terminal of `columns` and `lines` shows."""

    def __init__(self, columns: int, lines: int) -> None:
        self.resize(columns, lines)
        self.modes: set[str] = set()
        self.raw = ""
        self.unknown: list[str] = []
        self._rest = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    def resize(self, columns: int, lines: int) -> None:
        self.columns, self.lines = columns, lines
        self.cells = [[" "] * columns for _ in range(lines)]
        self._row = self._column = 0

    def feed(self, data: bytes) -> None:
        text = self._rest + self._decoder.decode(data)
        self.raw += text
        place = 0
        while place < len(text):
            if match := SEQUENCE.match(text, place):
                self._obey(match[1] or "", match[2] or "", match[0])
                place = match.end()
            elif UNFINISHED.match(text, place):
                break
            else:
                self._put(text[place])
                place += 1
        self._rest = text[place:]

    def text(self) -> str:
        """The screen as lines without trailing blanks."""
        return "\n".join("".join(row).rstrip() for row in self.cells).rstrip()

    def _obey(self, parameters: str, final: str, whole: str) -> None:
        if final == "H":
            row, _, column = parameters.partition(";")
            self._row, self._column = int(row or 1) - 1, int(column or 1) - 1
        elif final == "K":
            self.cells[self._row][self._column :] = [" "] * (self.columns - self._column)
        elif final == "J":
            self.cells = [[" "] * self.columns for _ in range(self.lines)]
        elif final in ("h", "l"):
            (self.modes.add if final == "h" else self.modes.discard)(parameters)
        elif final != "m" and not whole.startswith(("\x1b]", "\x1b(")):
            self.unknown.append(whole)

    def _put(self, character: str) -> None:
        if character == "\n":
            self._row = min(self._row + 1, self.lines - 1)
        elif character == "\r":
            self._column = 0
        elif ord(character) < 32 or ord(character) == 127:
            self.unknown.append(character)
        else:
            width = cell_len(character)
            if width and self._column + width <= self.columns and self._row < self.lines:
                self.cells[self._row][self._column : self._column + width] = [character, *[""] * (width - 1)]
                self._column += width


class Program:
    """A program on a terminal."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        columns: int = 80,
        lines: int = 24,
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.terminal, side = pty.openpty()
        self.screen = Screen(columns, lines)
        self._set_size(columns, lines)
        self.before = termios.tcgetattr(side)
        self.side = side
        self.process = subprocess.Popen(
            argv,
            stdin=side,
            stdout=side,
            stderr=side,
            env=clean_environment({"TERM": "xterm-256color", **(environment or {})}),
            cwd=cwd,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - there are no threads here
        )

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.terminal)
        os.close(self.side)

    def resize(self, columns: int, lines: int) -> None:
        """Change the size of the terminal, as a window does."""
        self.read(0.0)
        self.screen.resize(columns, lines)
        self._set_size(columns, lines)

    def _set_size(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self.terminal, keys.encode())

    def read(self, seconds: float) -> None:
        """Take what the program writes in that time."""
        end = time.monotonic() + seconds
        while select.select([self.terminal], [], [], max(0.0, end - time.monotonic()))[0]:
            try:
                self.screen.feed(os.read(self.terminal, 65536))
            except OSError:  # EIO: nobody has the other end open
                return

    def until(self, condition: Callable[[str], Any], seconds: float = 60.0) -> str:
        """Wait until the screen shows something; `seconds` only limits a hang."""
        end = time.monotonic() + seconds
        while True:
            self.read(0.05)
            text = self.screen.text()
            if condition(text):
                return text
            assert time.monotonic() < end, f"the screen does not show it:\n{text}"
            assert self.process.poll() is None or select.select([self.terminal], [], [], 0)[0], (
                f"the program has ended:\n{self.screen.raw[-2000:]}"
            )

    def shows(self, text: str) -> str:
        """Wait until the screen shows this text."""
        return self.until(lambda shown: text in shown)

    def wait(self, seconds: float = 60.0) -> int:
        """Wait for its end."""
        end = time.monotonic() + seconds
        while self.process.poll() is None:
            assert time.monotonic() < end, f"it does not end:\n{self.screen.text()}"
            self.read(0.05)
        self.read(0.0)
        return self.process.returncode

    def assert_clean(self) -> None:
        """Check that the terminal is as it was before the program."""
        after = termios.tcgetattr(self.side)
        assert after == self.before
        assert not {"?1049", "?2004"} & self.screen.modes
        assert {"?25", "?7"} <= self.screen.modes
        assert self.screen.unknown == []

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self.type("\x03")

    def send(self, number: signal.Signals) -> None:
        """Send a signal to it."""
        self.process.send_signal(number)
