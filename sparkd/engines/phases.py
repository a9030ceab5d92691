"""Which step of loading an engine's log line shows."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sparkd.engines.engine import Milestone

Phases = Sequence[tuple[re.Pattern[str], str]]
"""Log lines of a start, in order, with the name of the step. A group `percent` is its progress."""


def parse_milestone(line: str, phases: Phases) -> Milestone | None:
    """The first step whose pattern matches the line, None if none does."""
    for pattern, phase in phases:
        if found := pattern.search(line):
            percent = found.groupdict().get("percent")
            return Milestone(phase, int(percent) / 100 if percent else None)
    return None
