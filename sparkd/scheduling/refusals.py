"""The messages of refusals, and when a client should retry, unless that depends on the queue: see forecaster.py."""

from __future__ import annotations

from collections.abc import Sequence

from sparkd.catalog.quantities import GIB
from sparkd.errors import (
    BackgroundPutOff,
    Holder,
    InsufficientMemory,
    ModelBusy,
    ModelFailed,
    ModelHeld,
    ModelStopped,
    QueueFull,
    ShuttingDown,
    WaitTimeout,
)
from sparkd.scheduling.hold import Hold
from sparkd.scheduling.ledger import NEVER, Entry
from sparkd.scheduling.lifecycle import State
from sparkd.scheduling.memory import Budget

LONGEST_HOLD_RETRY = 60.0
"""Seconds after which a request that a hold blocks should be retried at the latest: the hold may end early."""

UPGRADE_RETRY = 2.0
"""Seconds after which a sparkd that replaces itself accepts requests again."""

MEMORY_SHORTAGE_RETRY = 15.0
"""Seconds after which a client should retry, in case other programs have freed memory."""

BACKGROUND_RETRY = 60.0
"""Seconds after which a background request should be retried at the latest."""


def _names(entries: Sequence[Entry]) -> str:
    return " and ".join(f'"{entry.model.id}"' for entry in entries)


def busy_error(entry: Entry, holders: Sequence[Entry], residents: Sequence[Entry], now: float) -> ModelBusy:
    """Refuse because `holders` use the memory and the queue is off."""
    others = [resident for resident in residents if resident not in holders and resident is not entry]
    names = _names(holders)
    return ModelBusy(
        f'Model "{entry.model.id}" cannot start now: the machine is in use by {names}.',
        holders=tuple(_describe_holder(resident, now) for resident in (*holders, *others)),
    )


def _describe_holder(entry: Entry, now: float) -> Holder:
    model = entry.model
    uptime = now - (entry.ready_at if entry.ready_at is not None else entry.since)
    idle = 0.0 if entry.leases or entry.ready_at is None else now - entry.last_used
    stops = model.idle_timeout > 0 and not (model.pinned or entry.holds)
    residency = model.min_residency or 0.0
    return Holder(
        model=model.id,
        state=entry.state,
        uptime=uptime,
        idle=idle,
        release=max(model.idle_timeout - idle, residency - uptime, 0.0) if stops else None,
        auto_stop=stops and uptime >= residency,
    )


def queue_full_error(length: int) -> QueueFull:
    """Refuse because `length` requests are waiting, the limit."""
    return QueueFull(f"{length} requests are waiting already, which is the limit.")


def wait_timeout_error(entry: Entry, max_wait: float, residents: Sequence[Entry]) -> WaitTimeout:
    """Refuse because the ticket has waited for `max_wait`."""
    others = [resident for resident in residents if resident is not entry]
    if entry.state is State.STARTING:
        state = "is still starting"
    elif others:
        state = f"waits for {_names(others)}"
    else:
        state = f"is {entry.state}"
    return WaitTimeout(f'Model "{entry.model.id}" was not ready within {max_wait:.0f} seconds: it {state}.')


def background_error(entry: Entry, residents: Sequence[Entry]) -> BackgroundPutOff:
    """Refuse because a background request would have had to evict a model, or to delay other requests."""
    others = [resident for resident in residents if resident is not entry]
    in_use = f", and the memory is in use by {_names(others)}" if others else ""
    return BackgroundPutOff(
        f'Model "{entry.model.id}" is not loaded{in_use}. '
        "A background request loads a model only into free memory. Retry later, or name a model that is loaded.",
        retry_after=BACKGROUND_RETRY,
    )


def held_error(entry: Entry, hold: Hold, now: float) -> ModelHeld:
    """Refuse because a hold on another model lasts longer than the request may wait."""
    return ModelHeld(
        f'Model "{entry.model.id}" cannot start: it does not fit beside "{hold.model}", which is '
        f"{hold.describe(now)}. Wait for the end of the hold, or use a model that fits beside it.",
        retry_after=min(LONGEST_HOLD_RETRY, max(1.0, hold.ends - now)),
    )


def model_failed_error(entry: Entry, now: float) -> ModelFailed:
    """Refuse because the model's process failed and is not started again yet."""
    name = entry.model.id
    if entry.retry_at == NEVER:
        often = f" after {entry.failures} failures in a row" if entry.failures > 1 else ""
        return ModelFailed(
            f'Model "{name}" is quarantined{often}: {entry.cause} Then run `sparkctl retry {name}`.'
        )
    return ModelFailed(f'Model "{name}" failed: {entry.cause}', retry_after=max(0.0, entry.retry_at - now))


def model_stopped_error(entry: Entry) -> ModelStopped:
    """Refuse because the operator stopped the model."""
    return ModelStopped(f'The operator stopped model "{entry.model.id}".')


def model_withdrawn_error(entry: Entry) -> ModelStopped:
    """Refuse because a reload removed or disabled the model."""
    return ModelStopped(f'Model "{entry.model.id}" was removed from the catalogue or disabled.')


def replacing_error() -> ShuttingDown:
    """Refuse because sparkd is about to replace itself."""
    return ShuttingDown("sparkd is being upgraded.", retry_after=UPGRADE_RETRY)


def insufficient_memory_error(entry: Entry, residents: Sequence[Entry], budget: Budget) -> InsufficientMemory:
    """Refuse because the model does not fit, even if everything evictable is evicted."""
    name, share = entry.model.id, budget.limit_for(entry.model)
    needs = f'Model "{name}" needs {entry.footprint / GIB:.1f} GiB'
    if entry.footprint > share:
        suffix = " beside the utility model" if share < budget.bytes else ""
        return InsufficientMemory(
            f"{needs}, but models may use only {share / GIB:.1f} GiB{suffix}. Lower its memory."
        )
    pinned = _names([resident for resident in residents if resident.model.pinned])
    return InsufficientMemory(f"{needs}, but pinned models leave too little memory. Stop or unpin {pinned}.")


def memory_shortage_error(entry: Entry, available: int, floor: int) -> InsufficientMemory:
    """Refuse because the model fits the budget but not the machine, and no eviction helps."""
    return InsufficientMemory(
        f'Model "{entry.model.id}" needs {entry.footprint / GIB:.1f} GiB, but only '
        f"{max(0, available - floor) / GIB:.1f} GiB of memory are available: other programs use the rest.",
        retry_after=MEMORY_SHORTAGE_RETRY,
    )


def shutdown_error() -> ShuttingDown:
    """Refuse because the daemon is stopping."""
    return ShuttingDown("sparkd is stopping.", retry_after=5.0)
