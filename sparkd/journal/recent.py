"""The daemon's own last lines, in memory: for the owner's page and for sparkctl, which then need no journal."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections import deque
from collections.abc import AsyncGenerator
from typing import Final, Literal, get_args

from msgspec import Struct

KEPT_LINES: Final = 2000

LONGEST: Final = 8192
"""Characters of a message that are kept, the trace of an exception included."""

Level = Literal["debug", "info", "warning", "error"]

LEVELS: Final[tuple[Level, ...]] = get_args(Level)
_NUMBERS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


class LogLine(Struct, frozen=True, omit_defaults=True):
    """One line of the daemon. `at` is seconds since the epoch, `number` counts the lines since sparkd started.

    `event`, `model` and `request` are the fields EVENT, MODEL and REQUEST_ID of the same line in the journal.
    """

    number: int
    at: float
    level: Level
    message: str
    event: str = ""
    model: str = ""
    request: str = ""


class LineFilter(Struct, frozen=True):
    """Which lines are wanted: `level` is the lowest, the others are equal to the line's unless they are empty."""

    level: Level = "debug"
    event: str = ""
    model: str = ""
    request: str = ""

    def accepts(self, line: LogLine) -> bool:
        """Whether the line is wanted."""
        return (
            _NUMBERS[line.level] >= _NUMBERS[self.level]
            and (not self.event or line.event == self.event)
            and (not self.model or line.model == self.model)
            and (not self.request or line.request == self.request)
        )


class RecentLines(logging.Handler):
    """Keeps the last lines that any thread has logged. Readers belong to an event loop."""

    def __init__(self, keep: int = KEPT_LINES) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter("%(message)s"))
        self._lines: deque[LogLine] = deque(maxlen=keep)
        self._numbers = itertools.count(1)
        self._readers: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the line; wake its readers. `logging` calls this with the handler's lock held."""
        fields = getattr(record, "fields", {})
        text = self.format(record)
        if len(text) > LONGEST:
            text = f"{text[:LONGEST]} [{len(text) - LONGEST} more characters]"
        line = LogLine(
            next(self._numbers),
            record.created,
            _name_level(record.levelno),
            text,
            str(fields.get("EVENT", "")),
            str(fields.get("MODEL", "")),
            str(fields.get("REQUEST_ID", "")),
        )
        self._lines.append(line)
        for loop, changed in tuple(self._readers):
            if not loop.is_closed():
                loop.call_soon_threadsafe(changed.set)

    def tail(self, lines: int, wanted: LineFilter = LineFilter()) -> list[LogLine]:  # noqa: B008 - it is frozen
        """The last `lines` lines that the filter accepts, oldest first."""
        return _select(self._copy(), lines, wanted)

    async def follow(self, lines: int, wanted: LineFilter) -> AsyncGenerator[LogLine, None]:
        """Yield the last `lines` lines, and then each new one, until the generator is closed.

        A reader that is too slow loses lines, and gets one that has their number.
        """
        reader = asyncio.get_running_loop(), asyncio.Event()
        self._readers.add(reader)
        try:
            kept = self._copy()
            seen = kept[-1].number if kept else 0
            for line in _select(kept, lines, wanted):
                yield line
            while True:
                await reader[1].wait()
                reader[1].clear()
                new = [line for line in self._copy() if line.number > seen]
                if not new:
                    continue
                if lost := new[0].number - seen - 1:
                    yield LogLine(seen + 1, time.time(), "warning", f"[{lost} lines dropped]")
                seen = new[-1].number
                for line in filter(wanted.accepts, new):
                    yield line
        finally:
            self._readers.discard(reader)

    def _copy(self) -> list[LogLine]:
        """All lines. The lock: another thread must not add one during the iteration."""
        self.acquire()
        try:
            return list(self._lines)
        finally:
            self.release()


def _select(kept: list[LogLine], lines: int, wanted: LineFilter) -> list[LogLine]:
    return [line for line in kept if wanted.accepts(line)][-lines:] if lines > 0 else []


def _name_level(number: int) -> Level:
    return next((level for level in reversed(LEVELS) if number >= _NUMBERS[level]), "debug")
