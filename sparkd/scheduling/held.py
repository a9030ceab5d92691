"""What the books hand on to the sparkd that replaces this one, clock and processes staying as they are."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from sparkd.scheduling.books import Entry
from sparkd.scheduling.lifecycle import State
from sparkd.scheduling.memory import Basis

STEADY = (State.STARTING, State.READY)
"""States in which a process is handed on. What is leaving is waited for."""


class HeldEntry(Struct, frozen=True, kw_only=True):
    """One model's page without tickets: there are none left by then. The fields are those of `Entry`."""

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
    """Pages of those entries that say more than a new one would."""
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
    """Write a page's figures into a new entry; its state is the lifecycle table's to give."""
    for name in KEPT:
        setattr(entry, name, getattr(held, name))
