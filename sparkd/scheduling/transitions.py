"""What a change of a model's state was, for recording it: the scheduler itself keeps only the time in its ledger."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from sparkd.scheduling.ledger import Entry
from sparkd.scheduling.lifecycle import Event, State
from sparkd.usage.records import StopReason


class Transition(Struct, frozen=True, kw_only=True):
    """A model's state has changed. `after` is the seconds that the state `before` lasted. The other fields are those
    of StateChange."""

    model: str
    run: int
    before: State
    state: State
    after: float
    stop_reason: StopReason | None = None
    text: str = ""
    evicted_for: str = ""


class SchedulingObserver(Protocol):
    """Is called with what the scheduler does, in the middle of a decision: it must not call the scheduler, or fail."""

    def record_transition(self, transition: Transition) -> None:
        """A model's state has changed."""
        ...

    def record_guard_kill(self, model_id: str, text: str) -> None:
        """The memory guard has decided to end the model's process. `text` describes the machine's memory."""
        ...


def describe_transition(entry: Entry, before: State, event: Event, now: float) -> Transition:
    """Describe the change to the entry's current state. Its field `since` still has the time of the state before."""
    reason, text, evicted_for = _find_reason(entry, before, event)
    return Transition(
        model=entry.model.id,
        run=entry.run,
        before=before,
        state=entry.state,
        after=now - entry.since,
        stop_reason=reason,
        text=text,
        evicted_for=evicted_for,
    )


def _find_reason(entry: Entry, before: State, event: Event) -> tuple[StopReason | None, str, str]:
    """Why the model is in its state: the reason, a sentence, and the model that needs its memory."""
    match entry.state:
        case State.BACKOFF if event is Event.RESTORED:
            return None, entry.cause, ""
        case State.BACKOFF:
            return ("guard" if entry.killed else "crash"), entry.cause, ""
        case State.STOPPED if before is State.BACKOFF:
            return None, "" if entry.failures else "its failures were reset", ""
        case State.DRAINING | State.STOPPING | State.STOPPED:
            return entry.stop_reason, entry.reason, entry.evicted_for
    return None, "", ""
