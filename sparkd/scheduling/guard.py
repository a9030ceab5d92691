"""The memory guard: which model to kill when the machine runs out of memory, and when. No I/O, no clock.

A GB10 that runs out of memory does not kill a process, it hangs. Observed collapses went from 29 to 2.5 GiB in 9
seconds, and through 7.4 GiB in under 3: a check every few seconds is too late, and so is a grace period.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from sparkd.catalog.quantities import GIB
from sparkd.scheduling.ledger import Entry
from sparkd.scheduling.lifecycle import State

SAMPLE_WINDOW: Final = 10.0
"""Seconds of samples that are kept, for the log when a model is killed."""

IDLE_INTERVAL: Final = 1.0
STARTING_INTERVAL: Final = 0.25
LOW_MEMORY_INTERVAL: Final = 0.1
"""Seconds between samples: while nothing starts; while a model starts; while less than twice the floor is available."""

FALLING_TIMEOUT: Final = 0.5
"""Seconds after a kill after which falling memory is a reason for the next kill: the killed process allocates no
more, so another one does."""

RECOVERY_TIMEOUT: Final = 5.0
"""Seconds after a kill in which its memory may come back, unless more memory is lost meanwhile."""


class Sample(Struct, frozen=True):
    """Bytes that were available at a time, in seconds of the caller's clock."""

    at: float
    available: int


class MemoryGuard:
    """Watches samples of the machine's memory. `floor` is bytes."""

    def __init__(self, floor: int) -> None:
        self.floor = floor
        self.samples: deque[Sample] = deque()
        self._last_kill: Sample | None = None

    def add_sample(self, sample: Sample) -> None:
        """Record a sample."""
        self.samples.append(sample)
        while self.samples[0].at < sample.at - SAMPLE_WINDOW:
            self.samples.popleft()
        if sample.available >= self.floor:
            self._last_kill = None

    @property
    def must_kill(self) -> bool:
        """Whether a model must be killed now: too little is available, and an earlier kill has not helped."""
        if not self.samples or (now := self.samples[-1]).available >= self.floor:
            return False
        if self._last_kill is None:
            return True
        since = now.at - self._last_kill.at
        falling = now.available < self._last_kill.available
        return since >= RECOVERY_TIMEOUT or (falling and since >= FALLING_TIMEOUT)

    def record_kill(self) -> None:
        """Record that a model was killed, or a preparation discarded, because of the last sample."""
        self._last_kill = self.samples[-1]

    def sample_interval(self, *, starting: bool) -> float:
        """Seconds until the next sample is due."""
        if self.samples and self.samples[-1].available < 2 * self.floor:
            return LOW_MEMORY_INTERVAL
        return STARTING_INTERVAL if starting else IDLE_INTERVAL

    def describe(self) -> str:
        """What happened, for a person: the samples of the last ten seconds."""
        now = self.samples[-1]
        figures = " → ".join(
            f"{sample.available / GIB:.2f}" for sample in _one_per_second(self.samples, now.at)
        )
        return (
            f"{now.available / GIB:.2f} GiB of memory were available, and the floor is "
            f"{self.floor / GIB:.2f} GiB. The last {now.at - self.samples[0].at:.0f} seconds, in GiB: {figures}"
        )

    @property
    def cause(self) -> str:
        """Why a model was killed, in a sentence, with what to do."""
        now = self.samples[-1]
        return (
            f"the memory guard killed it: {now.available / GIB:.1f} GiB of memory were available, and the "
            f"floor is {self.floor / GIB:.1f} GiB. Lower its context_length, gpu-memory-utilization or "
            "kv-cache-memory-bytes, or stop other programs that use memory."
        )


def choose_victim(residents: Iterable[Entry]) -> Entry | None:
    """Return the model to kill first: a starting one, one that is stopping anyway, the least recently used idle one, or
    the newest busy one. It may be pinned: no request is worth the machine."""
    return min((entry for entry in residents if not entry.killed), key=_kill_order, default=None)


def _kill_order(entry: Entry) -> tuple[int, float]:
    if entry.state is State.STARTING:
        return 0, 0.0
    if not entry.leases and entry.state is not State.READY:
        return 1, entry.last_used
    if not entry.leases:
        return 2, entry.last_used
    return 3, -(entry.ready_at or 0.0)


def _one_per_second(samples: Iterable[Sample], end: float) -> Iterable[Sample]:
    """At most one sample per second, and the last one: ten seconds must fit on a line."""
    next_at = 0.0
    for sample in samples:
        if sample.at >= next_at or sample.at == end:
            next_at = sample.at + 1.0
            yield sample
