"""When the memory of a process that has ended is back, and how much of it never came. No I/O, no clock.

On a GB10 it comes back late, up to a minute after the last PID is gone, and a crashed start may keep some until the
machine is booted again. A launch in between would be measured wrongly, or fail.
"""

from __future__ import annotations

from typing import Final

from sparkd.catalog.quantities import MIB
from sparkd.scheduling.guard import Sample

SLACK: Final = 512 * MIB
"""What other programs take or give back in a minute without its meaning anything; a tenth of what is large."""

SETTLED: Final = 256 * MIB
"""Between two looks: a rise of more than this is memory that is still coming back."""

APART: Final = 0.2
"""Seconds between two looks that are compared."""


class Reclaim:
    """Waits for `held` bytes that were missing when `available` bytes were; `deadline` in seconds of the samples."""

    def __init__(self, available: int, held: int, deadline: float) -> None:
        self._expected = available + held
        self._slack = max(SLACK, held // 10)
        self.deadline = deadline
        self._last: Sample | None = None
        self.done = held <= self._slack
        self.missing = 0

    def note(self, sample: Sample) -> None:
        """Take a look into account. `done` says whether it was the last one needed, `missing` what has not come."""
        missing = self._expected - sample.available
        if self._last is None or sample.at >= self._last.at + APART:
            settled = self._last is not None and sample.available - self._last.available < SETTLED
            self._last = sample
            self.done = self.done or (settled and missing <= self._slack)
        if sample.at >= self.deadline and not self.done:
            self.done, self.missing = True, max(0, missing)
