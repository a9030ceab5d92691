"""The memory guard: which model to kill when the machine runs out of memory, and when. No I/O, no clock.

A GB10 that runs out of memory does not kill a process, it hangs. Observed collapses went from 29 to 2.5 GiB in 9
seconds, and through 7.4 GiB in under 3: a check every few seconds is too late, and so is a grace period.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sparkd.catalog.quantities import GIB
from sparkd.scheduling.books import Entry
from sparkd.scheduling.lifecycle import State

WINDOW: Final = 10.0
"""Seconds of samples that are kept, for the log when a model is killed."""

CALM: Final = 1.0
STARTING: Final = 0.25
SCARCE: Final = 0.1
"""Seconds between samples: while nothing starts; while a model starts; while less than twice the floor is available."""

STILL_FALLING: Final = 0.5
"""Seconds after a kill after which falling memory is a reason for the next kill: the killed process allocates no
more, so another one does."""

NO_RISE: Final = 5.0
"""Seconds after a kill in which its memory may come back, unless more memory is lost meanwhile."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Bytes that were available at a time, in seconds of the caller's clock."""

    at: float
    available: int


class Guard:
    """Watches samples of the machine's memory. `floor` is bytes."""

    def __init__(self, floor: int) -> None:
        self.floor = floor
        self.samples: deque[Sample] = deque()
        self._killed: Sample | None = None

    def note(self, sample: Sample) -> None:
        """Record a sample."""
        self.samples.append(sample)
        while self.samples[0].at < sample.at - WINDOW:
            self.samples.popleft()
        if sample.available >= self.floor:
            self._killed = None

    @property
    def due(self) -> bool:
        """Whether a model must be killed now: too little is available, and an earlier kill has not helped."""
        if not self.samples or (now := self.samples[-1]).available >= self.floor:
            return False
        if self._killed is None:
            return True
        since = now.at - self._killed.at
        falling = now.available < self._killed.available
        return since >= NO_RISE or (falling and since >= STILL_FALLING)

    def killed(self) -> None:
        """Record that a model was killed because of the last sample."""
        self._killed = self.samples[-1]

    def pause(self, *, starting: bool) -> float:
        """Seconds until the next sample is due."""
        if self.samples and self.samples[-1].available < 2 * self.floor:
            return SCARCE
        return STARTING if starting else CALM

    def told(self) -> str:
        """What happened, for a person: the samples of the last ten seconds."""
        now = self.samples[-1]
        figures = " → ".join(f"{sample.available / GIB:.2f}" for sample in _thinned(self.samples, now.at))
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


def first_to_go(residents: Iterable[Entry]) -> Entry | None:
    """Return the model to kill first: a starting one, one that is stopping anyway, the least recently used idle one, or
    the newest busy one. It may be pinned: no request is worth the machine."""
    return min((entry for entry in residents if not entry.killed), key=_rank, default=None)


def _rank(entry: Entry) -> tuple[int, float]:
    if entry.state is State.STARTING:
        return 0, 0.0
    if not entry.leases and entry.state is not State.READY:
        return 1, entry.last_used
    if not entry.leases:
        return 2, entry.last_used
    return 3, -(entry.ready_at or 0.0)


def _thinned(samples: Iterable[Sample], end: float) -> Iterable[Sample]:
    """At most one sample per second, and the last one: ten seconds must fit on a line."""
    due = 0.0
    for sample in samples:
        if sample.at >= due or sample.at == end:
            due = sample.at + 1.0
            yield sample
