"""What the scheduler asks for. The supervisor carries these out and decides nothing."""

from __future__ import annotations

from dataclasses import dataclass

from sparkd.errors import Refusal


@dataclass(frozen=True, slots=True)
class Launch:
    """Start the model's process. `run` numbers the launches: events of an earlier run are told apart by it."""

    model: str
    run: int


@dataclass(frozen=True, slots=True)
class Terminate:
    """End the process of that run: SIGTERM, grace, SIGKILL to all of it. `reason` is for people."""

    model: str
    run: int
    reason: str


@dataclass(frozen=True, slots=True)
class Kill:
    """End everything of that run now, with no grace: memory runs out. `reason` is for people, and for the journal."""

    model: str
    run: int
    reason: str


@dataclass(frozen=True, slots=True)
class Grant:
    """The ticket's model is ready: the request may go. The ticket is a lease from here on."""

    ticket: int
    model: str
    run: int


@dataclass(frozen=True, slots=True)
class Refuse:
    """The ticket will not be granted; the client is told why. The ticket is out of the books."""

    ticket: int
    error: Refusal


Action = Launch | Terminate | Kill | Grant | Refuse
