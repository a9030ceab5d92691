"""Numbers formatted for people."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sparkd.catalog.quantities import GIB


def format_duration(seconds: float) -> str:
    """Two units at most: "4.2 s", "48 s", "3 min 12 s", "2 h 5 min", "3 d 4 h"."""
    if seconds < 9.95:
        return f"{max(seconds, 0.0):.1f} s"
    whole = round(seconds)
    for name, length, smaller, part in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= length:
            rest = whole % length // part
            return f"{whole // length} {name} {rest} {smaller}" if rest else f"{whole // length} {name}"
    return f"{whole} s"


def format_short_duration(seconds: float) -> str:
    """The same in a column of seven characters: "4.2s", "3m 12s", "2h 5m", "3d 4h"."""
    return shorten_durations(format_duration(seconds))


def shorten_durations(text: str) -> str:
    """The text with its durations in that form."""
    return re.sub(r"(?<=\d) (d|h|s|m)(?:in)?\b", r"\1", text)


def format_size(count: int) -> str:
    """Bytes in GiB, one decimal."""
    return f"{count / GIB:.1f} GiB"


def format_count(count: int, noun: str, plural: str = "") -> str:
    """ "1 model", "2 models"; `plural` if it is not the noun with an s."""
    return f"{count} {noun}" if count == 1 else f"{count} {plural or f'{noun}s'}"


def abbreviate_list(names: Sequence[str]) -> str:
    """Up to three names; if there are more, the first two and the number of others."""
    return ", ".join(names) if len(names) <= 3 else f"{', '.join(names[:2])} and {len(names) - 2} more"
