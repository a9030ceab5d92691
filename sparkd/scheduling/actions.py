"""The scheduler's actions. The supervisor carries them out and decides nothing."""

from __future__ import annotations

from msgspec import Struct

from sparkd.errors import Refusal


class Launch(Struct, frozen=True):
    """Start the model's process. `run` numbers the launches, so that events of an earlier run can be recognized."""

    model: str
    run: int


class Prepare(Struct, frozen=True):
    """Begin the start of the model that launches next, up to what needs GPU memory, while its rivals still leave.

    Either `Launch` or `Discard` follows, with the same `run`. Nothing is lost if the preparation fails or is ignored:
    the launch then begins at the start.
    """

    model: str
    run: int


class Discard(Struct, frozen=True):
    """End the preparation with that run number at once: it is not launched, or memory runs out."""

    model: str
    run: int


class EndLaunchers(Struct, frozen=True):
    """End all launchers, because a launch needs their memory. `on_launchers` reports when it is free."""


class Terminate(Struct, frozen=True):
    """End the process of that run: SIGTERM, a grace period, then SIGKILL to all of it. `reason` is for the log."""

    model: str
    run: int
    reason: str


class Kill(Struct, frozen=True):
    """Kill all processes of that run at once, because memory runs out. `reason` is for people and for the journal."""

    model: str
    run: int
    reason: str


class Grant(Struct, frozen=True):
    """The ticket's model is ready: forward the request. From here on, the ticket is a lease."""

    ticket: int
    model: str
    run: int


class Refuse(Struct, frozen=True):
    """The ticket will not be granted; `error` goes to the client. The ticket is no longer in the ledger.

    Where the time to retry depends on the queue, the supervisor completes the error: the scheduler makes no estimates.
    """

    ticket: int
    error: Refusal
    model: str


Action = Prepare | Discard | Launch | EndLaunchers | Terminate | Kill | Grant | Refuse
