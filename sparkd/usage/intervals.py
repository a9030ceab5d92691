"""Sets of times as sorted intervals that do not touch each other. Times are seconds since the epoch."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from itertools import pairwise
from operator import sub

Interval = tuple[float, float]


class Intervals:
    """A set of times that grows. 100,000 intervals use 1.6 MB."""

    def __init__(self, intervals: Iterable[Interval] = ()) -> None:
        self._begins = array("d")
        self._ends = array("d")
        for began, ended in intervals:
            self.add(began, ended)

    def __len__(self) -> int:
        return len(self._begins)

    def add(self, began: float, ended: float) -> None:
        """Add the time between two times. It is fastest if they are later than all others."""
        if ended <= began:
            return
        begins, ends = self._begins, self._ends
        if not ends or began > ends[-1]:
            begins.append(began)
            ends.append(ended)
            return
        first, last = bisect_left(ends, began), bisect_right(begins, ended)
        if first < last:
            began, ended = min(began, begins[first]), max(ended, ends[last - 1])
        begins[first:last] = array("d", (began,))
        ends[first:last] = array("d", (ended,))

    def remove_before(self, time: float) -> None:
        """Remove the intervals that ended before a time."""
        last = bisect_left(self._ends, time)
        del self._begins[:last], self._ends[:last]

    def clip(self, since: float, until: float) -> list[Interval]:
        """The parts between two times."""
        begins, ends = self._cut(since, until)
        found = list(zip(begins, ends, strict=True))
        if found:
            found[0] = (max(found[0][0], since), found[0][1])
            found[-1] = (found[-1][0], min(found[-1][1], until))
        return found

    def measure(self, since: float, until: float) -> float:
        """Seconds of the parts between two times."""
        begins, ends = self._cut(since, until)
        if not begins:
            return 0.0
        outside = max(0.0, since - begins[0]) + max(0.0, ends[-1] - until)
        return float(sum(map(sub, ends, begins))) - outside

    def copy(self, since: float, until: float) -> Intervals:
        """An independent copy of the intervals that have a part between two times, in whole."""
        twin = Intervals()
        twin._begins, twin._ends = self._cut(since, until)
        return twin

    def _cut(self, since: float, until: float) -> tuple[array[float], array[float]]:
        """The intervals that have a part between two times, in whole."""
        first, last = bisect_right(self._ends, since), bisect_left(self._begins, until)
        if since >= until:
            last = first
        return self._begins[first:last], self._ends[first:last]

    def find_last_end(self, time: float) -> float:
        """The end of the last interval that began before a time; 0 if there is none."""
        place = bisect_left(self._begins, time)
        return self._ends[place - 1] if place else 0.0


def join_close(intervals: Iterable[Interval], gap: float) -> list[Interval]:
    """Join sorted intervals with less than `gap` seconds between them."""
    joined: list[Interval] = []
    for began, ended in intervals:
        if joined and began - joined[-1][1] < gap:
            joined[-1] = (joined[-1][0], ended)
        else:
            joined.append((began, ended))
    return joined


def subtract(interval: Interval, others: Iterable[Interval]) -> list[Interval]:
    """The parts of an interval that are in none of the others, which are sorted and within it."""
    began, ended = interval
    edges = [(began, began), *others, (ended, ended)]
    return [(left[1], right[0]) for left, right in pairwise(edges) if left[1] < right[0]]
