"""Reads the kernel's pressure figures (PSI): the share of time in which processes waited for memory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct

MEMORY_PRESSURE: Final = Path("/proc/pressure/memory")


class Pressure(Struct, frozen=True):
    """The share of time (0 to 1) in which processes waited for memory: `some` at least one, `full` all of them.

    By the seconds over which the kernel averages: 10, 60 and 300.
    """

    some: Mapping[int, float]
    full: Mapping[int, float]


def read_pressure(path: Path = MEMORY_PRESSURE) -> Pressure | None:
    """Read the file; it never blocks. None if this kernel does not measure pressure."""
    try:
        return parse_pressure(path.read_text())
    except (OSError, ValueError, KeyError):
        return None


def parse_pressure(text: str) -> Pressure:
    """Parse the file's text: `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`, and a line `full` like it.

    Raises ValueError and KeyError for anything else.
    """
    lines = {
        words[0]: {
            int(name.removeprefix("avg")): float(value) / 100
            for name, _, value in (word.partition("=") for word in words[1:])
            if name.startswith("avg")
        }
        for words in map(str.split, text.splitlines())
        if words
    }
    return Pressure(lines["some"], lines["full"])
