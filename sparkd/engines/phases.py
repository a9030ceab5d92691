"""Which step of loading a line of an engine's announces."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sparkd.engines.engine import Milestone

Phases = Sequence[tuple[re.Pattern[str], str]]
"""Lines of a start in their order, and what the step is called. A group `percent` is its progress."""


def milestone(line: str, phases: Phases) -> Milestone | None:
    """The first of the steps whose line this is, None where it is none's."""
    for pattern, phase in phases:
        if found := pattern.search(line):
            percent = found.groupdict().get("percent")
            return Milestone(phase, int(percent) / 100 if percent else None)
    return None
