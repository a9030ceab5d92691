"""Records what happens to models in the store: changes of their states with the time of day, downloads, and kills."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final, Protocol

from sparkd.catalog import Catalogue
from sparkd.scheduling.lifecycle import State
from sparkd.scheduling.scheduler import Scheduler
from sparkd.scheduling.status import Reload
from sparkd.scheduling.transitions import Transition
from sparkd.usage.records import EventKind, Occurrence, StateChange
from sparkd.usage.store import UsageStore

REMOVED: Final = "removed"
"""The state of a model that has left the catalogue, once nothing of it runs."""


class HistoryStore(Protocol):
    """Keeps what is recorded. No method may wait or fail."""

    def add_change(self, change: StateChange) -> None:
        """Keep a change of a model's state."""
        ...

    def add_occurrence(self, occurrence: Occurrence) -> None:
        """Keep something that happened."""
        ...


class HistoryRecorder:
    """Records for one daemon. `catalogue` is the current one. `started` is when the service began, in seconds of the
    steady clock: no state is known to be older."""

    def __init__(self, store: HistoryStore, catalogue: Callable[[], Catalogue], started: float) -> None:
        self._store = store
        self._catalogue = catalogue
        self._started = started
        self._last: dict[str, StateChange] = {}
        self._listeners: list[Callable[[StateChange], None]] = []

    def add_listener(self, listener: Callable[[StateChange], None]) -> None:
        """Call the listener with each change from now on, on the event loop. It must not fail."""
        self._listeners.append(listener)

    def record_transition(self, transition: Transition) -> None:
        """Record that a model's state has changed now."""
        state: str = transition.state
        if transition.state is State.STOPPED and transition.model not in self._catalogue().models:
            state = REMOVED
        self._record(
            StateChange(
                at=time.time(),
                model=transition.model,
                run=transition.run,
                state=state,
                after=min(transition.after, time.monotonic() - self._started),
                before=transition.before,
                stop_reason=transition.stop_reason,
                text=transition.text,
                evicted_for=transition.evicted_for,
            )
        )

    def record_reload(self, change: Reload) -> None:
        """Record that the catalogue was reloaded, and that models have left it. Those that still run are recorded when
        they have stopped."""
        self.record_occurrence("reloaded", "", change.describe())
        for model_id in change.removed:
            if (last := self._last.get(model_id)) and last.state == State.STOPPED:
                now = time.time()
                after = max(0.0, now - last.at)
                self._record(
                    StateChange(
                        at=now, model=model_id, run=last.run, state=REMOVED, after=after, before=last.state
                    )
                )

    def record_guard_kill(self, model_id: str, text: str) -> None:
        """Record that the memory guard has ended a model's process."""
        self.record_occurrence("guard", model_id, text)

    def record_occurrence(self, kind: EventKind, model: str, text: str) -> None:
        """Record something that has happened now."""
        self._store.add_occurrence(Occurrence(at=time.time(), kind=kind, model=model, text=text))

    def _record(self, change: StateChange) -> None:
        self._last[change.model] = change
        self._store.add_change(change)
        for listener in self._listeners:
            listener(change)


async def run_store(store: UsageStore, scheduler: Scheduler, *, is_successor: bool) -> None:
    """Have the store write until this is cancelled. `is_successor`: this program has replaced another one."""
    kept = frozenset(entry.model.id for entry in scheduler.entries() if entry.state is not State.STOPPED)
    store.start(kept if is_successor else None)
    await asyncio.Event().wait()
