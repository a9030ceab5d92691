"""Rate limit: a burst at once, then a constant rate."""

from __future__ import annotations

import time


class TokenBucket:
    """A credit that grows by `rate` per second, up to `burst`. The caller chooses the unit."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._credit = burst
        self._credited = time.monotonic()

    def try_take(self, cost: float = 1.0) -> bool:
        """Take `cost` from the credit. Return False, and take nothing, if the credit is too small."""
        now = time.monotonic()
        self._credit = min(self._burst, self._credit + (now - self._credited) * self._rate)
        self._credited = now
        if cost > self._credit:
            return False
        self._credit -= cost
        return True
