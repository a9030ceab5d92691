"""The lifecycle of a model's process, as one table. The diagram in docs/architecture.md is generated from it.

`failed` is an unexpected end: the process exited by itself, or its start deadline passed. `exited` is the end of a
process that was terminated. `reclaimed`: none of its processes is left and its memory is free again. `restored`: an
earlier sparkd recorded that it must not start by itself. Quarantine is a backoff without an end.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, Literal

Residency = Literal["unloaded", "loading", "loaded"]
"""What clients are interested in: whether a request finds the model in memory."""


class State(StrEnum):
    """The state of a model's process."""

    STOPPED = "stopped"
    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    STOPPING = "stopping"
    BACKOFF = "backoff"


class Event(StrEnum):
    """An event of a model's process."""

    LAUNCH = "launch"
    HEALTHY = "healthy"
    EVICT = "evict"
    DRAINED = "drained"
    FAILED = "failed"
    EXITED = "exited"
    RECLAIMED = "reclaimed"
    COOLED = "cooled"
    RESTORED = "restored"


TRANSITIONS: Final[Mapping[State, Mapping[Event, State]]] = {
    State.STOPPED: {Event.LAUNCH: State.STARTING, Event.RESTORED: State.BACKOFF},
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
    """An event arrived in a state that does not list it: a bug in sparkd, never in a client or an engine."""


def next_state(state: State, event: Event) -> State:
    """Return the next state; raise LifecycleError if the table has none.

    Only one unlisted event is ignored: a `healthy` after its process was terminated or has failed. Then the health
    check and the decision crossed.
    """
    target = TRANSITIONS[state].get(event)
    if target is not None:
        return target
    if event is Event.HEALTHY and state in (State.STOPPING, State.BACKOFF, State.STOPPED):
        return state
    raise LifecycleError(f"{event} cannot happen to a model that is {state}")


def render_mermaid() -> str:
    """Return the table as a Mermaid state diagram, for the documentation."""
    arrows = [
        f"    {state} --> {target}: {event}"
        for state, row in TRANSITIONS.items()
        for event, target in row.items()
        if target is not state
    ]
    return "\n".join(["stateDiagram-v2", f"    [*] --> {State.STOPPED}", *arrows])


def residency(state: State) -> Residency:
    """Whether a model in this state is loaded."""
    if state is State.STARTING:
        return "loading"
    return "loaded" if state in (State.READY, State.DRAINING) else "unloaded"
