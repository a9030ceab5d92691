"""When the scheduler must decide again. Seconds of the caller's clock throughout."""

from __future__ import annotations

from collections.abc import Iterator

from sparkd.scheduling.books import NEVER, Books, Entry
from sparkd.scheduling.lifecycle import State


def next_deadline(books: Books, now: float) -> float:
    """When the next tick is due at the latest; always later than `now`.

    An overdue deadline waits for an event, not for the clock: a drained model waits for another model's start.
    """
    due = [_due(entry) for entry in books.active.values()]
    if books.queue:
        due.append(next(iter(books.queue.values())).deadline)
        due += _evictions_due(books)
    return min((at for at in due if at > now), default=NEVER)


def idle_end(entry: Entry) -> float:
    """When the entry's model is stopped for idleness."""
    if not entry.idle or entry.model.pinned or entry.model.idle_timeout <= 0:
        return NEVER
    return entry.last_used + entry.model.idle_timeout


def evictable_at(victim: Entry, rival: Entry, max_wait: float) -> float:
    """When the victim may be evicted for a waiting rival: after its residency, or half of the rival's `max_wait`."""
    oldest = next(iter(rival.waiting.values()))
    return min(victim.residency_end(), oldest.arrived + max_wait / 2)


def _due(entry: Entry) -> float:
    match entry.state:
        case State.STARTING:
            return entry.since + entry.model.start_timeout
        case State.READY:
            return idle_end(entry)
        case State.DRAINING:
            return entry.drain_deadline
        case State.BACKOFF:
            return entry.until
        case _:
            return NEVER


def _evictions_due(books: Books) -> Iterator[float]:
    ready = [entry for entry in books.active.values() if entry.state is State.READY]
    for rival in books.active.values():
        if rival.waiting:
            yield from (evictable_at(victim, rival, books.max_wait) for victim in ready)
