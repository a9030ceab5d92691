"""The words a request is refused with, and when it is worth asking again."""

from __future__ import annotations

from collections.abc import Sequence

from sparkd.catalog.quantities import GIB
from sparkd.errors import (
    Holder,
    ModelBusy,
    ModelFailed,
    ModelStopped,
    NoRoom,
    QueueFull,
    ShuttingDown,
    WaitedTooLong,
)
from sparkd.scheduling.books import NEVER, Entry
from sparkd.scheduling.lifecycle import State
from sparkd.scheduling.memory import Budget

UNKNOWN_LOAD_TIME = 60.0
"""Seconds assumed for a model that has not been loaded since the daemon started."""

UPGRADE = 2.0
"""Seconds after which a sparkd that replaces itself has long been there again."""

LACKING_RETRY = 15.0
"""Seconds after which it is worth asking again whether other programs have given their memory back."""


def free_in(holders: Sequence[Entry], now: float) -> float:
    """Estimate the seconds until everybody in `holders` could make room; at least one."""
    return max([1.0, *(_release(holder, now) for holder in holders)])


def _release(holder: Entry, now: float) -> float:
    if holder.state is State.STARTING:
        return (holder.load_time or UNKNOWN_LOAD_TIME) - (now - holder.since)
    residency = holder.residency_end() - now
    if not holder.leases:
        return residency
    return max(residency, holder.answer_time - (now - min(holder.leases.values())))


def busy(entry: Entry, holders: Sequence[Entry], residents: Sequence[Entry], now: float) -> ModelBusy:
    """Refuse because `holders` are in the way and nobody may queue."""
    others = [resident for resident in residents if resident not in holders and resident is not entry]
    names = " and ".join(holder.model.id for holder in holders)
    return ModelBusy(
        f"{entry.model.id} is not running and {names} holds the machine",
        retry_after=free_in(holders, now),
        holders=tuple(_holder(resident, now) for resident in (*holders, *others)),
    )


def _holder(entry: Entry, now: float) -> Holder:
    model = entry.model
    uptime = now - (entry.ready_at if entry.ready_at is not None else entry.since)
    idle = 0.0 if entry.leases or entry.ready_at is None else now - entry.last_used
    stops = model.idle_timeout > 0 and not model.pinned
    return Holder(
        model=model.id,
        state=entry.state,
        uptime=uptime,
        idle=idle,
        release=max(model.idle_timeout - idle, model.min_residency - uptime, 0.0) if stops else None,
        auto_stop=stops and uptime >= model.min_residency,
    )


def queue_full(length: int, residents: Sequence[Entry], now: float) -> QueueFull:
    """Refuse because `length` requests wait already."""
    return QueueFull(f"{length} requests wait already", retry_after=free_in(residents, now))


def waited(entry: Entry, max_wait: float, residents: Sequence[Entry], now: float) -> WaitedTooLong:
    """Refuse because the ticket's patience is spent."""
    others = [resident for resident in residents if resident is not entry]
    if entry.state is State.STARTING:
        doing = "is still starting"
        others = [entry]
    elif others:
        doing = "is waiting for " + " and ".join(other.model.id for other in others)
    else:
        doing = f"is {entry.state}"
    return WaitedTooLong(
        f"{entry.model.id} {doing} after {max_wait:.0f} seconds", retry_after=free_in(others, now)
    )


def failed(entry: Entry, now: float) -> ModelFailed:
    """Refuse because the model's process failed and is not tried again yet."""
    name = entry.model.id
    if entry.until == NEVER:
        often = f" failed {entry.failures} times in a row and" if entry.failures > 1 else ""
        return ModelFailed(f"{name}{often} is in quarantine: {entry.cause} `sparkctl retry {name}` lifts it.")
    return ModelFailed(f"{name} failed: {entry.cause}", retry_after=max(0.0, entry.until - now))


def stopped(entry: Entry) -> ModelStopped:
    """Refuse because the operator stopped the model."""
    return ModelStopped(f"the operator stopped {entry.model.id}")


def withdrawn(entry: Entry) -> ModelStopped:
    """Refuse because a catalogue that was read again has the model no longer, or has it disabled."""
    return ModelStopped(f"{entry.model.id} was taken out of the catalogue")


def replacing() -> ShuttingDown:
    """Refuse because sparkd cannot wait any longer with replacing itself."""
    return ShuttingDown("sparkd is being upgraded", retry_after=UPGRADE)


def no_room(entry: Entry, residents: Sequence[Entry], budget: Budget) -> NoRoom:
    """Refuse because the model does not fit, whoever may be evicted."""
    name, share = entry.model.id, budget.share(entry.model)
    needs = f"{name} needs {entry.footprint / GIB:.1f} GiB"
    if entry.footprint > share:
        kept = " beside the utility model" if share < budget.bytes else ""
        return NoRoom(f"{needs}, and models may take {share / GIB:.1f} GiB{kept}")
    pinned = " and ".join(resident.model.id for resident in residents if resident.model.pinned)
    return NoRoom(f"{needs}, which pinned {pinned} does not leave")


def lacking(entry: Entry, available: int, floor: int) -> NoRoom:
    """Refuse because the books have room for the model, but the machine has not, and nobody of ours can help."""
    return NoRoom(
        f"{entry.model.id} needs {entry.footprint / GIB:.1f} GiB, and of the machine's memory only "
        f"{max(0, available - floor) / GIB:.1f} GiB are available: something else than sparkd's models uses it",
        retry_after=LACKING_RETRY,
    )


def shutting_down() -> ShuttingDown:
    """Refuse because the daemon is stopping."""
    return ShuttingDown("sparkd is stopping", retry_after=5.0)
