"""Which resident models must be evicted so that another one fits. Pure functions over entries."""

from __future__ import annotations

from collections.abc import Container, Sequence

from sparkd.scheduling.hold import Hold
from sparkd.scheduling.ledger import Entry
from sparkd.scheduling.lifecycle import State
from sparkd.scheduling.memory import Budget
from sparkd.scheduling.residency import RELEASE_TIME, load_time


def fits(candidate: Entry, residents: Sequence[Entry], budget: Budget) -> bool:
    """Whether the candidate may be launched beside these residents.

    A normal model leaves the utility model's memory free even while the utility model is not loaded: a title for a
    chat must not evict the chat's own model.
    """
    if candidate.model.lifecycle == "exclusive":
        return not residents and candidate.footprint <= budget.bytes
    if any(entry.model.lifecycle == "exclusive" for entry in residents):
        return False
    if candidate.model.lifecycle == "utility":
        return sum(entry.footprint for entry in residents) + candidate.footprint <= budget.bytes
    # No memory is kept free for a utility model that was removed or disabled, while it still runs.
    main = [entry for entry in residents if entry.model.lifecycle != "utility" or entry.withdrawn]
    if budget.slots is not None and len(main) >= budget.slots:
        return False
    others = sum(entry.footprint for entry in main)
    return others + candidate.footprint <= budget.limit_for(candidate.model)


def choose_evictions(
    candidate: Entry,
    residents: Sequence[Entry],
    budget: Budget,
    now: float,
    *,
    without_holds: Container[str] = (),
) -> list[Entry] | None:
    """Return the models to evict so that the candidate fits when all leaving models have left; None if nothing helps.

    Idle models are evicted before busy ones. Among them, the first one has been idle for the longest time, compared
    with what it takes to load again. No model is evicted without need.
    """
    staying = [entry for entry in residents if entry.state in (State.STARTING, State.READY)]
    if fits(candidate, staying, budget):
        return []
    evictable = sorted(
        (entry for entry in staying if _may_evict(candidate, entry, without_holds)),
        key=lambda entry: (not entry.is_idle, (entry.last_used - now) / (load_time(entry) + RELEASE_TIME)),
    )
    chosen: list[Entry] = []
    for victim in evictable:
        chosen.append(victim)
        if fits(candidate, _exclude(staying, chosen), budget):
            return _drop_unneeded(candidate, staying, chosen, budget)
    return None


def find_blocking_hold(
    candidate: Entry, residents: Sequence[Entry], budget: Budget, now: float
) -> Hold | None:
    """The hold at whose end the candidate may be launched; None if no hold is in its way, or not only holds are."""
    held = sorted(
        (entry for entry in residents if entry.holds),
        key=lambda entry: max(hold.ends for hold in entry.holds),
    )
    if not held or choose_evictions(candidate, residents, budget, now) is not None:
        return None
    ended: list[str] = []
    for entry in held:
        ended.append(entry.model.id)
        if choose_evictions(candidate, residents, budget, now, without_holds=ended) is not None:
            return max(entry.holds, key=lambda hold: hold.ends)
    return None


def _drop_unneeded(
    candidate: Entry, staying: Sequence[Entry], chosen: list[Entry], budget: Budget
) -> list[Entry]:
    """Keep models whose eviction is not needed: a small idle model beside the large one that must stop."""
    needed = list(chosen)
    for spared in reversed(chosen):
        remaining = [entry for entry in needed if entry is not spared]
        if fits(candidate, _exclude(staying, remaining), budget):
            needed = remaining
    return needed


def _exclude(entries: Sequence[Entry], excluded: Sequence[Entry]) -> list[Entry]:
    return [entry for entry in entries if entry not in excluded]


def _may_evict(candidate: Entry, resident: Entry, without_holds: Container[str]) -> bool:
    if resident.state is not State.READY or resident.model.pinned:
        return False
    if resident.holds and resident.model.id not in without_holds:
        return False
    if candidate.model.lifecycle == "exclusive":
        return True
    if candidate.model.lifecycle == "utility":
        return resident.model.lifecycle == "exclusive"
    return resident.model.lifecycle != "utility"
