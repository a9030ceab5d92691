"""When the scheduler must decide again. Seconds of the caller's clock throughout."""

from __future__ import annotations

from collections.abc import Iterator

from sparkd.scheduling.ledger import NEVER, Entry, Ledger
from sparkd.scheduling.lifecycle import State


def next_deadline(ledger: Ledger, now: float) -> float:
    """When the next tick is due at the latest; always later than `now`.

    An overdue deadline waits for an event, not for the clock: a drained model waits for another model's start.
    """
    deadlines = [_entry_deadline(entry) for entry in ledger.active.values()]
    if ledger.queue:
        deadlines.append(next(iter(ledger.queue.values())).deadline)
        deadlines += _eviction_times(ledger)
    return min((at for at in deadlines if at > now), default=NEVER)


def idle_deadline(entry: Entry) -> float:
    """When the entry's model is stopped for idleness."""
    if not entry.is_idle or entry.model.pinned or entry.model.idle_timeout <= 0:
        return NEVER
    return entry.last_used + entry.model.idle_timeout


def eviction_time(victim: Entry, rival: Entry, max_wait: float) -> float:
    """When the victim may be evicted for a waiting rival: after its residency, or half of the rival's `max_wait`."""
    oldest = next(iter(rival.waiting.values()))
    return min(victim.residency_end(), oldest.arrived + max_wait / 2)


def _entry_deadline(entry: Entry) -> float:
    match entry.state:
        case State.STARTING:
            return entry.since + entry.model.start_timeout
        case State.READY:
            return idle_deadline(entry)
        case State.DRAINING:
            return entry.drain_deadline
        case State.BACKOFF:
            return entry.retry_at
        case _:
            return NEVER


def _eviction_times(ledger: Ledger) -> Iterator[float]:
    ready = [entry for entry in ledger.active.values() if entry.state is State.READY]
    for rival in ledger.active.values():
        if rival.waiting:
            yield from (eviction_time(victim, rival, ledger.max_wait) for victim in ready)
