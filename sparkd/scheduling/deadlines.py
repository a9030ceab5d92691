"""When the scheduler must decide again. Seconds of the caller's clock throughout."""

from __future__ import annotations

from collections.abc import Iterator

from sparkd.scheduling.ledger import NEVER, Entry, Ledger
from sparkd.scheduling.lifecycle import State
from sparkd.scheduling.residency import eviction_time, measure_demand


def next_deadline(ledger: Ledger, now: float) -> float:
    """When the next tick is due at the latest; always later than `now`.

    An overdue deadline waits for an event, not for the clock: a drained model waits for another model's start.
    """
    deadlines = [_entry_deadline(entry) for entry in ledger.active.values()]
    deadlines += [hold.ends for hold in ledger.holds.values()]
    if ledger.queue:
        deadlines.append(next(iter(ledger.queue.values())).deadline)
        deadlines += _eviction_times(ledger, now)
        deadlines += _place_ends(ledger, now)
    return min((at for at in deadlines if at > now), default=NEVER)


def idle_deadline(entry: Entry) -> float:
    """When the entry's model is stopped for idleness."""
    if not entry.is_idle or entry.model.pinned or entry.holds:
        return NEVER
    if entry.idle_timeout is not None:
        return entry.last_used + entry.idle_timeout
    if (
        entry.model.idle_timeout <= 0 or entry.model.preload
    ):  # a preloaded model would be loaded again at once
        return NEVER
    return entry.last_used + entry.model.idle_timeout


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


def _eviction_times(ledger: Ledger, now: float) -> Iterator[float]:
    ready = [entry for entry in ledger.active.values() if entry.state is State.READY]
    waiting = ledger.waiting_models()
    demand = measure_demand(waiting, ledger.max_wait)
    for rival in waiting:
        yield from (eviction_time(victim, rival, demand, now) for victim in ready)


def _place_ends(ledger: Ledger, now: float) -> Iterator[float]:
    """When starts that no request waits for are protected no longer, because the places of their clients expire."""
    for entry in ledger.active.values():
        if entry.state is State.STARTING and not entry.waiting_weight:
            until = ledger.places.kept_until(entry.model.id, now)
            if until is not None:
                yield until


def describe_timeout(seconds: float) -> str:
    """A timeout of the catalogue for a sentence: "100 seconds", "20 min", "12 h", "1 h 30 min"."""
    if seconds < 120 or seconds % 60:
        return f"{seconds:.0f} seconds"
    hours, minutes = divmod(round(seconds / 60), 60)
    parts = (f"{hours} h" if hours else "", f"{minutes} min" if minutes else "")
    return " ".join(part for part in parts if part)
