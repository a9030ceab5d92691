"""The daemon's own last lines, in memory: for the owner's page and for sparkctl, which then need no journal."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections import deque
from collections.abc import AsyncGenerator
from typing import Final

from sparkd.journal.lines import LineFilter, LogLine, name_level

KEPT_LINES: Final = 2000

LONGEST: Final = 8192
"""Characters of a message that are kept, the trace of an exception included."""


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
            name_level(record.levelno),
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
