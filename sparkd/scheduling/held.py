"""The scheduler state that a sparkd hands to its replacement, with the same clock and processes."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from sparkd.scheduling.books import Entry
from sparkd.scheduling.lifecycle import State
from sparkd.scheduling.memory import Basis

STEADY = (State.STARTING, State.READY)
"""States in which a process is handed over. The handover waits for processes that are stopping."""


class HeldEntry(Struct, frozen=True, kw_only=True):
    """One model's entry without tickets: none are left at that time. The fields are those of `Entry`."""

    model: str
    state: State
    footprint: int
    basis: Basis
    since: float
    run: int
    last_used: float
    ready_at: float | None
    failures: int
    until: float
    cause: str
    load_time: float
    answer_time: float
    guard_kills: int


KEPT = tuple(name for name in HeldEntry.__struct_fields__ if name not in ("model", "state"))


def hold(entries: Iterable[Entry]) -> list[HeldEntry]:
    """Snapshots of all entries that differ from a new one."""
    return [
        HeldEntry(
            model=entry.model.id,
            state=entry.state,
            **{name: getattr(entry, name) for name in KEPT},
        )
        for entry in entries
        if entry.run or entry.failures or entry.state is not State.STOPPED
    ]


def restore(entry: Entry, held: HeldEntry) -> None:
    """Copy a snapshot's fields into a new entry, except its state, which the lifecycle table sets."""
    for name in KEPT:
        setattr(entry, name, getattr(held, name))
