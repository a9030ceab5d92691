"""Tokens over time: which interval each token of a request belongs to. Pure: time is an argument.

A request reports its exact tokens at its end. Counted there, a long response would be a peak that never was. So the
tokens of a response are spread over the time in which the engine generated them, in the shape in which they were seen
to arrive; the tokens of a prompt are spread over the time in which the engine read it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import Struct, field

from sparkd.usage.records import RequestRecord

STEP: Final = 5.0
"""Seconds of the shortest interval."""


class RunningRequest(Struct, frozen=True):
    """A request in progress, and an estimate of the tokens that it has got so far. None if there is no estimate."""

    id: str
    tokens_out: float | None


class _Arrival(Struct):
    """When the tokens of one response arrived: the estimated number in each interval, and when it was last seen."""

    tokens: dict[int, float] = field(default_factory=dict)
    total: float = 0.0
    began: float = 0.0
    seen: float = 0.0


class TokenRates:
    """Tokens in and out in each interval of STEP seconds. Intervals are numbered by a steady clock."""

    def __init__(self) -> None:
        self._out: dict[int, float] = {}
        self._in: dict[int, float] = {}
        self._arrivals: dict[str, _Arrival] = {}
        self._unknown: set[int] = set()

    def observe(self, running: Iterable[RunningRequest], now: float) -> None:
        """Count what running requests got since they were last observed, evenly over that time.

        So an observation that comes late makes neither a peak nor a gap.
        """
        for request in running:
            if request.tokens_out is None:
                continue
            arrival = self._arrivals.get(request.id)
            if arrival is None:
                arrival = self._arrivals[request.id] = _Arrival(began=now - STEP, seen=now - STEP)
            arrived = max(0.0, request.tokens_out - arrival.total)
            arrival.total += arrived
            if arrived:
                self._count_arrived(arrival, arrived, now)
            elif not arrival.total:
                arrival.began = now
            arrival.seen = now

    def finish(self, record: RequestRecord, ended: float) -> int:
        """Replace the estimates of a request by its exact numbers. `ended` is when it ended, by the steady clock.

        Return the number of the first interval that has changed.
        """
        arrival = self._arrivals.pop(record.id, None)
        began = ended - max(0.0, record.seconds - record.queue_seconds - record.load_seconds)
        first_token = ended - (record.output_seconds or 0.0)
        if record.tokens_in:
            spread(self._in, record.tokens_in, began, max(began, first_token))
        if record.tokens_out is None:
            if record.tokens_in is None and record.status < 400:
                self._unknown.add(interval_of(ended))
        elif arrival is not None and arrival.total:
            self._correct(arrival, record.tokens_out, ended)
        else:
            spread(self._out, record.tokens_out, first_token if record.output_seconds else began, ended)
        return interval_of(began)

    def tokens_out(self, number: int) -> float | None:
        """Tokens per second that were generated in an interval. None if only requests of unknown size ran in it."""
        return self._rate(self._out, number)

    def tokens_in(self, number: int) -> float | None:
        """Tokens per second of the prompts that were read in an interval. None if their size is unknown."""
        return self._rate(self._in, number)

    def forget_before(self, number: int) -> None:
        """Forget what is older than this interval, also of requests that are not observed any more."""
        for tokens in (self._out, self._in):
            for old in [each for each in tokens if each < number]:
                del tokens[old]
        self._unknown = {each for each in self._unknown if each >= number}
        for lost in [id_ for id_, each in self._arrivals.items() if interval_of(each.seen) < number]:
            del self._arrivals[lost]

    def _correct(self, arrival: _Arrival, exact: float, ended: float) -> None:
        """Scale the estimates to the exact number. What arrived since the last observation is estimated first."""
        observed = max(STEP, arrival.seen - arrival.began)
        unseen = max(0.0, ended - arrival.seen)
        if unseen:
            self._count_arrived(arrival, arrival.total * unseen / observed, ended)
        scale = exact / sum(arrival.tokens.values())
        for number, tokens in arrival.tokens.items():
            self._out[number] = max(0.0, self._out.get(number, 0.0) + tokens * (scale - 1))

    def _count_arrived(self, arrival: _Arrival, tokens: float, now: float) -> None:
        """Count tokens that arrived between the last observation and now."""
        spread(arrival.tokens, tokens, arrival.seen, now)
        spread(self._out, tokens, arrival.seen, now)

    def _rate(self, tokens: dict[int, float], number: int) -> float | None:
        counted = tokens.get(number, 0.0)
        return None if not counted and number in self._unknown else counted / STEP


def interval_of(time: float) -> int:
    """The number of the interval that a time belongs to. The end of an interval belongs to it."""
    return -int(-time // STEP)


def spread(tokens: dict[int, float], count: float, began: float, ended: float) -> None:
    """Spread a number of tokens evenly over a time that may touch several intervals."""
    first, last = interval_of(began), interval_of(ended)
    if ended <= began or first == last:
        tokens[last] = tokens.get(last, 0.0) + count
        return
    for number in range(first, last + 1):
        share = min(ended, number * STEP) - max(began, (number - 1) * STEP)
        if share > 0:
            tokens[number] = tokens.get(number, 0.0) + count * share / (ended - began)
