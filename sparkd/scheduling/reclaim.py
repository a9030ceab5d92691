"""When the memory of an ended process is free again, and how much of it is leaked. No I/O, no clock.

On a GB10 it comes back late, up to a minute after the last process has exited, and a crashed start may keep some until
the machine reboots. A launch in between would be measured wrongly, or fail.
"""

from __future__ import annotations

from typing import Final

from sparkd.catalog.quantities import MIB
from sparkd.scheduling.guard import Sample

TOLERANCE: Final = 512 * MIB
"""What other programs may allocate or free in a minute; for large models a tenth of their memory."""

MAX_SETTLED_RISE: Final = 256 * MIB
"""Between two samples: a rise of more than this is memory that is still coming back."""

MIN_SAMPLE_INTERVAL: Final = 0.2
"""Seconds between two samples that are compared."""


class ReclaimTracker:
    """Waits until `used` bytes are free again, beyond the `available` bytes. `deadline` is on the samples' clock."""

    def __init__(self, available: int, used: int, deadline: float) -> None:
        self._expected = available + used
        self._tolerance = max(TOLERANCE, used // 10)
        self.deadline = deadline
        self._last: Sample | None = None
        self.done = used <= self._tolerance
        self.missing = 0

    def add_sample(self, sample: Sample) -> None:
        """Record a sample. Afterwards `done` is true if no more are needed; `missing` is what has not come back."""
        missing = self._expected - sample.available
        if self._last is None or sample.at >= self._last.at + MIN_SAMPLE_INTERVAL:
            settled = self._last is not None and sample.available - self._last.available < MAX_SETTLED_RISE
            self._last = sample
            self.done = self.done or (settled and missing <= self._tolerance)
        if sample.at >= self.deadline and not self.done:
            self.done, self.missing = True, max(0, missing)
