"""Finds the error that a starting engine logs again and again: it retries something that never succeeds.

Engines also log tracebacks of errors that they handle, once or a few times, and then continue to load. So the same
exception must end several tracebacks, over a longer time, without any new step of loading meanwhile.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import Final

from msgspec import Struct

from sparkd.engines.causes import EXCEPTION, strip_logger_prefix
from sparkd.engines.engine import Milestone

REPEATS: Final = 5
"""Tracebacks with the same exception."""

MIN_SPAN: Final = 20.0
"""Seconds from the first to the last of them. A dependency that starts at the same time may be missing for a while."""

MIN_GAP: Final = 1.0
"""Seconds between two of them: workers that fail together log the same traceback together."""

MAX_KINDS: Final = 16
"""Different exceptions that are counted at the same time."""

MAX_LINE: Final = 1000
"""Characters of a line that are compared. Removing the prefix of a longer one could take too long."""

TRACEBACK: Final = "Traceback (most recent call last):"

VARYING: Final = re.compile(r"0x[0-9a-fA-F]+|\d+")
"""What differs between two occurrences of the same error: addresses, ports, PIDs, attempts, times."""


class Occurrences(Struct):
    """How often an exception was logged. `first` and `last` are in seconds."""

    first: float
    last: float
    count: int = 1


class RepeatedErrors:
    """Counts the exceptions in the log of one start. `now` is in seconds of a steady clock."""

    def __init__(self) -> None:
        self._in_traceback = False
        self._occurrences: OrderedDict[str, Occurrences] = OrderedDict()
        self._progress: dict[str, float] = {}

    def record_milestone(self, milestone: Milestone) -> None:
        """Record a step of loading. The first time that it is reached, errors before it have been handled.

        A program that starts its engine in an endless loop only repeats steps.
        """
        progress = milestone.progress or 0.0
        if progress > self._progress.get(milestone.phase, -1.0):
            self._progress[milestone.phase] = progress
            self._occurrences.clear()

    def record_line(self, line: str, now: float) -> str | None:
        """Record a line; return it, without its logger's prefix, if its error has been repeated too often."""
        if not self._in_traceback:
            self._in_traceback = TRACEBACK in line
            return None
        text = strip_logger_prefix(line[:MAX_LINE])
        if not EXCEPTION.match(text):
            return None
        self._in_traceback = False
        key = VARYING.sub("#", text)
        seen = self._occurrences.setdefault(key, Occurrences(now, now, 0))
        self._occurrences.move_to_end(key)
        if len(self._occurrences) > MAX_KINDS:
            self._occurrences.popitem(last=False)
        if seen.count == 0 or now - seen.last >= MIN_GAP:
            seen.count, seen.last = seen.count + 1, now
        return text if seen.count >= REPEATS and seen.last - seen.first >= MIN_SPAN else None
