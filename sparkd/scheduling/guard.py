"""The memory guard: who has to go when the machine runs out of memory, and when. No I/O, no clock.

A GB10 that runs out does not kill a process, it hangs. Collapses that were seen went from 29 to 2.5 GiB in 9 seconds,
and through 7.4 GiB in under 3: a look every few seconds comes too late, and there is no time for a grace.
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
"""Seconds of figures that are kept, to be told when somebody had to go."""

CALM: Final = 1.0
STARTING: Final = 0.25
SCARCE: Final = 0.1
"""Seconds between two looks: while nothing starts; while something does; while less than twice the floor is left."""

STILL_FALLING: Final = 0.5
"""Seconds after a kill from which on it counts against the next one that memory goes on falling: a process that
was killed allocates no more, so somebody else does."""

NO_RISE: Final = 5.0
"""Seconds after a kill in which its memory may come back, as long as no more of it is lost meanwhile."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Bytes that were available at a moment, in seconds of the caller's clock."""

    at: float
    available: int


class Guard:
    """Watches samples of the machine's memory. `floor` is bytes."""

    def __init__(self, floor: int) -> None:
        self.floor = floor
        self.samples: deque[Sample] = deque()
        self._killed: Sample | None = None

    def note(self, sample: Sample) -> None:
        """Take a look into account."""
        self.samples.append(sample)
        while self.samples[0].at < sample.at - WINDOW:
            self.samples.popleft()
        if sample.available >= self.floor:
            self._killed = None

    @property
    def due(self) -> bool:
        """Whether somebody has to go now: too little is left, and what was done about it has not helped."""
        if not self.samples or (now := self.samples[-1]).available >= self.floor:
            return False
        if self._killed is None:
            return True
        since = now.at - self._killed.at
        falling = now.available < self._killed.available
        return since >= NO_RISE or (falling and since >= STILL_FALLING)

    def killed(self) -> None:
        """Note that somebody was ended because of the last sample."""
        self._killed = self.samples[-1]

    def pause(self, *, starting: bool) -> float:
        """Seconds until the next look is due."""
        if self.samples and self.samples[-1].available < 2 * self.floor:
            return SCARCE
        return STARTING if starting else CALM

    def told(self) -> str:
        """What happened, for a person: the figures of the last ten seconds."""
        now = self.samples[-1]
        figures = " → ".join(f"{sample.available / GIB:.2f}" for sample in _thinned(self.samples, now.at))
        return (
            f"{now.available / GIB:.2f} GiB of the machine's memory were left, and the floor is "
            f"{self.floor / GIB:.2f} GiB. The last {now.at - self.samples[0].at:.0f} seconds, in GiB: {figures}"
        )

    @property
    def cause(self) -> str:
        """Why somebody was ended, in a sentence, with what can be done."""
        now = self.samples[-1]
        return (
            f"The memory guard ended it: {now.available / GIB:.1f} GiB of the machine's memory were left, and the "
            f"floor is {self.floor / GIB:.1f} GiB. Give it less to hold (context_length, gpu-memory-utilization, "
            "kv-cache-memory-bytes), or stop what else uses memory."
        )


def first_to_go(residents: Iterable[Entry]) -> Entry | None:
    """Return who is ended first: what starts, what is leaving anyway, then the least recently used idle one, then
    the busy, newest first. A pinned model is no exception: no request is worth the machine."""
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
    """One sample per second at most, and the last one: ten seconds must fit on a line."""
    due = 0.0
    for sample in samples:
        if sample.at >= due or sample.at == end:
            due = sample.at + 1.0
            yield sample
