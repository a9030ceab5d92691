"""What the scheduler asks for. The supervisor carries these out and decides nothing."""

from __future__ import annotations

from msgspec import Struct

from sparkd.errors import Refusal


class Launch(Struct, frozen=True):
    """Start the model's process. `run` numbers the launches: events of an earlier run are told apart by it."""

    model: str
    run: int


class Terminate(Struct, frozen=True):
    """End the process of that run: SIGTERM, grace, SIGKILL to all of it. `reason` is for people."""

    model: str
    run: int
    reason: str


class Kill(Struct, frozen=True):
    """End everything of that run now, with no grace: memory runs out. `reason` is for people, and for the journal."""

    model: str
    run: int
    reason: str


class Grant(Struct, frozen=True):
    """The ticket's model is ready: the request may go. The ticket is a lease from here on."""

    ticket: int
    model: str
    run: int


class Refuse(Struct, frozen=True):
    """The ticket will not be granted; the client is told why. The ticket is out of the books."""

    ticket: int
    error: Refusal


Action = Launch | Terminate | Kill | Grant | Refuse
