"""How long a ready model keeps its memory while requests wait for another one. Pure functions over entries.

An idle model goes once its session is probably over. How sure that must be depends on what its clients would lose.
Otherwise the memory changes hands when that is worth it:

- The waiting requests would together wait longer for the end of its session than its clients would for the end of
  theirs, both loads included: the shorter session goes first.
- The waiting requests have together waited several times what the change costs: a wrong estimate has a limit.
- The oldest request could otherwise not be served before its deadline.

Requests count with the weights of their priorities (priorities.py), on both sides. Background requests do not count.

Before the last of these, a busy model serves at least as long as it took to load, unless more important requests wait.
A model with a `min_residency` of its own goes after that time, or after its load time while it is busy, whatever its
sessions are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from sparkd.scheduling.ledger import NEVER, Entry
from sparkd.scheduling.sessions import LONGEST_PAUSE

ASSUMED_LOAD_TIME: Final = 60.0
"""Seconds assumed for a model that has never been loaded."""

RELEASE_TIME: Final = 15.0
"""Seconds assumed from the eviction of an idle model until its memory is free."""

DRAIN_TIME: Final = 45.0
"""Seconds assumed for the rest of the responses that an evicted model still writes."""

WAITING_FACTOR: Final = 4.0
"""How many times the cost of a change the waiting requests wait for it, at most."""


KEPT_FOR_NOTHING: Final = 2 * LONGEST_PAUSE
"""Seconds that a model is assumed to be kept for nothing if its session is over but counts as under way."""

SUREST: Final = 0.95
"""The most that is ever required for a session to count as under way."""


class Demand(NamedTuple):
    """The requests that wait for stopped models: how many, and the sum of the times when they arrived.

    Both count each request with the weight of its priority. `latest` is when the next change must begin, so that all of
    them are served before their deadlines.
    """

    weight: float
    arrivals: float
    latest: float

    def reaches(self, cost: float) -> float:
        """When these requests have together waited for `cost` seconds."""
        return (cost + self.arrivals) / self.weight


def load_time(entry: Entry) -> float:
    """The seconds that the next start of the model will probably take."""
    return entry.load_time or ASSUMED_LOAD_TIME


def measure_demand(waiting: Sequence[Entry], max_wait: float) -> Demand:
    """The demand for these stopped models, in the order of their turns.

    They are loaded one after the other. But half of `max_wait` is never too early for the first one.
    """
    latest, needed = NEVER, 0.0
    for entry in waiting:
        needed += DRAIN_TIME + RELEASE_TIME + load_time(entry)
        # Tickets are in the order of their deadlines.
        expires = next(ticket.deadline for ticket in entry.waiting.values() if ticket.weight)
        latest = min(latest, expires - max_wait + max(max_wait - needed, max_wait / 2))
    return Demand(
        sum(entry.waiting_weight for entry in waiting), sum(entry.arrivals for entry in waiting), latest
    )


def eviction_time(victim: Entry, rival: Entry, demand: Demand, now: float) -> float:
    """When the ready victim may be evicted for the rival, if nothing happens until then."""
    if victim.model.min_residency is not None:
        return min(_residency_end(victim), demand.latest)
    change = load_time(victim) + load_time(rival) + 2 * RELEASE_TIME
    clients, rest = victim.sessions.clients or 1.0, rival.sessions.expected_rest(None)
    # What the victim's clients lose by the change, less what the waiting requests lose without it, for each of these.
    loss = clients * (change + rest) / demand.weight - victim.sessions.expected_rest(now)
    # So that one priority for all changes nothing, and a low one alone does not make a model leave sooner.
    importance = max(victim.sessions.importance or 1.0, min(1.0, rival.urgency))
    worthwhile = now if loss < 0 else demand.reaches(WAITING_FACTOR * change * importance)
    earliest = max(worthwhile, _ready_since(victim) + _least_service(victim, rival))
    if not victim.leased_weight:
        likely = min(SUREST, KEPT_FOR_NOTHING / (KEPT_FOR_NOTHING + max(loss, 0.0)))
        earliest = min(earliest, victim.last_used + victim.sessions.expected_pause(likely))
    return min(earliest, demand.latest)


def _least_service(victim: Entry, rival: Entry) -> float:
    """How long a busy model serves at least: as long as it took to load, or less for more important requests.

    All requests that have waited for it are served in any case.
    """
    return load_time(victim) * min(1.0, (victim.sessions.importance or 1.0) / rival.urgency)


def _residency_end(entry: Entry) -> float:
    """When a model with a `min_residency` may be evicted."""
    least = entry.model.min_residency or 0.0
    return _ready_since(entry) + (max(least, entry.load_time) if entry.leased_weight else least)


def _ready_since(entry: Entry) -> float:
    return entry.since if entry.ready_at is None else entry.ready_at
