"""The life of a model's process, as one table. docs/architecture.md draws its diagram from here.

`failed` is an end that nobody asked for: the process exited by itself, or its start deadline passed. `exited` is
the end of a process that was told to go; `reclaimed` says that nothing of it is left and its memory is back.
`held` is an earlier sparkd's word that it must not start by itself. Quarantine is a backoff without an end.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class State(StrEnum):
    """Where a model's process is in its life."""

    STOPPED = "stopped"
    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    STOPPING = "stopping"
    BACKOFF = "backoff"


class Event(StrEnum):
    """What can happen to a model's process."""

    LAUNCH = "launch"
    HEALTHY = "healthy"
    EVICT = "evict"
    DRAINED = "drained"
    FAILED = "failed"
    EXITED = "exited"
    RECLAIMED = "reclaimed"
    COOLED = "cooled"
    HELD = "held"


TABLE: Final[Mapping[State, Mapping[Event, State]]] = {
    State.STOPPED: {Event.LAUNCH: State.STARTING, Event.HELD: State.BACKOFF},
    State.STARTING: {
        Event.HEALTHY: State.READY,
        Event.EVICT: State.STOPPING,
        Event.FAILED: State.BACKOFF,
    },
    State.READY: {Event.EVICT: State.DRAINING, Event.FAILED: State.BACKOFF},
    State.DRAINING: {Event.DRAINED: State.STOPPING, Event.EXITED: State.STOPPING},
    State.STOPPING: {Event.EXITED: State.STOPPING, Event.RECLAIMED: State.STOPPED},
    State.BACKOFF: {
        Event.EXITED: State.BACKOFF,
        Event.RECLAIMED: State.BACKOFF,
        Event.COOLED: State.STOPPED,
    },
}


class LifecycleError(AssertionError):
    """An event arrived in a state that does not list it: a bug of ours, never of a client or an engine."""


def after(state: State, event: Event) -> State:
    """Return the state that follows; raise LifecycleError where the table has none.

    A `healthy` that arrives after its process was told to go, or has failed, is the one event ignored by name:
    the probe and the decision crossed.
    """
    following = TABLE[state].get(event)
    if following is not None:
        return following
    if event is Event.HEALTHY and state in (State.STOPPING, State.BACKOFF, State.STOPPED):
        return state
    raise LifecycleError(f"{event} cannot happen to a model that is {state}")


def mermaid() -> str:
    """Return the table as a Mermaid state diagram, for the documentation."""
    arrows = [
        f"    {state} --> {following}: {event}"
        for state, row in TABLE.items()
        for event, following in row.items()
        if following is not state
    ]
    return "\n".join(["stateDiagram-v2", f"    [*] --> {State.STOPPED}", *arrows])
