"""The daemon's own lines as data, and how they are selected."""

from __future__ import annotations

import logging
from typing import Final, Literal, get_args

from msgspec import Struct

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


def name_level(number: int) -> Level:
    """The name of a level of `logging`."""
    return next((level for level in reversed(LEVELS) if number >= _NUMBERS[level]), "debug")
