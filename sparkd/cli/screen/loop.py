"""The loop of a screen: keys, news and the time that passes, one after the other, on one thread."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from sparkd.cli.screen.keys import KeyParser
from sparkd.cli.screen.painter import Painter
from sparkd.cli.screen.terminal import Terminal

_ESCAPE_TIME: Final = 0.05
"""Seconds after which an ESC is a key, not the beginning of a sequence."""

_SIGNALS: Final = (signal.SIGWINCH, signal.SIGTSTP, signal.SIGTERM, signal.SIGHUP)


class ScreenClosed(Exception):
    """The terminal is gone, or somebody ended this process; `number` is the signal."""

    def __init__(self, number: int = signal.SIGHUP) -> None:
        super().__init__(number)
        self.number = number


class Loop:
    """Waits for something to happen, and has the screen drawn again.

    `wake` may be called by any thread; everything else belongs to one thread.
    """

    def __init__(self, terminal: Terminal, painter: Painter, interval: float) -> None:
        self._terminal = terminal
        self._painter = painter
        self._interval = interval
        self._parser = KeyParser()
        self._received: set[int] = set()
        self._reading, self._writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def wake(self) -> None:
        """Have the screen drawn soon."""
        try:
            os.write(self._writing, b"\0")
        except (BlockingIOError, OSError):  # it wakes anyway, or it has ended
            return

    def run(self, draw: Callable[[], None], on_key: Callable[[str], bool]) -> None:
        """Draw at least every `interval` seconds, and after each key, until `on_key` returns False.

        Raises ScreenClosed, and KeyboardInterrupt after Ctrl-C.
        """
        with self._handled_signals():
            due = 0.0
            while True:
                now = time.monotonic()
                if now >= due:
                    draw()
                    due = now + self._interval
                keys, is_woken = self._wait(max(0.0, due - time.monotonic()))
                is_woken |= self._handle_signals()
                for key in keys:
                    if key == "redraw":
                        self._painter.forget()
                    elif not on_key(key):
                        return
                if keys or is_woken:
                    draw()

    def _wait(self, seconds: float) -> tuple[list[str], bool]:
        """Keys, and whether there is anything else to draw."""
        sources = [self._reading] + ([self._terminal.input] if self._terminal.input is not None else [])
        if self._parser.is_waiting:
            seconds = min(seconds, _ESCAPE_TIME)
        ready, _, _ = select.select(sources, [], [], seconds)
        is_woken = self._reading in ready
        if is_woken:
            os.read(self._reading, 4096)
        if self._terminal.input in ready:
            data = self._terminal.read()
            if data is None:
                raise ScreenClosed
            return self._parser.feed(data), is_woken
        return (self._parser.flush() if self._parser.is_waiting else []), is_woken

    def _handle_signals(self) -> bool:
        """Whether the screen must be drawn because of a signal."""
        received, self._received = self._received, set()
        for number in (signal.SIGTERM, signal.SIGHUP):
            if number in received:
                raise ScreenClosed(number)
        if signal.SIGTSTP in received:
            self._terminal.suspend()
            self._painter.forget()
        return bool(received)

    @contextmanager
    def _handled_signals(self) -> Iterator[None]:
        def note(number: int, _: Any) -> None:
            self._received.add(number)

        previous = {number: signal.signal(number, note) for number in _SIGNALS}
        wakeup = signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(wakeup)
            for number, handler in previous.items():
                signal.signal(number, handler)
