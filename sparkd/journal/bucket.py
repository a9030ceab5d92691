"""How much of something may happen: so much at once, and so much a second from then on."""

from __future__ import annotations

import time


class Bucket:
    """A credit that grows by `rate` a second up to `burst`, in whatever unit its costs are."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._credit = burst
        self._credited = time.monotonic()

    def affords(self, cost: float = 1.0) -> bool:
        """Whether there is credit for that; if so, it is taken."""
        now = time.monotonic()
        self._credit = min(self._burst, self._credit + (now - self._credited) * self._rate)
        self._credited = now
        if cost > self._credit:
            return False
        self._credit -= cost
        return True
