"""The scheduler state that a sparkd hands to its replacement, with the same clock and processes."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from sparkd.scheduling.hold import Hold
from sparkd.scheduling.ledger import Entry
from sparkd.scheduling.lifecycle import State
from sparkd.scheduling.memory import Basis
from sparkd.scheduling.sessions import Sessions

TRANSFERABLE_STATES = (State.STARTING, State.READY)
"""States in which a process is handed over. The handover waits for processes that are stopping."""


class EntrySnapshot(Struct, frozen=True, kw_only=True):
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
    retry_at: float
    cause: str
    load_time: float
    answer_time: float
    guard_kills: int
    sessions: Sessions
    idle_timeout: float | None = None
    is_dismissed: bool = False
    is_preload: bool = False
    holds: tuple[Hold, ...] = ()
    stop_time: float = 0.0


COPIED_FIELDS = tuple(name for name in EntrySnapshot.__struct_fields__ if name not in ("model", "state"))


def snapshot_entries(entries: Iterable[Entry]) -> list[EntrySnapshot]:
    """Snapshots of all entries that differ from a new one."""
    return [
        EntrySnapshot(
            model=entry.model.id,
            state=entry.state,
            **{name: getattr(entry, name) for name in COPIED_FIELDS},
        )
        for entry in entries
        if entry.run
        or entry.failures
        or entry.is_dismissed
        or entry.holds
        or entry.state is not State.STOPPED
    ]


def restore_entry(entry: Entry, snapshot: EntrySnapshot) -> None:
    """Copy a snapshot's fields into a new entry, except its state, which the lifecycle table sets."""
    for name in COPIED_FIELDS:
        setattr(entry, name, getattr(snapshot, name))
