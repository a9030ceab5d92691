"""A request that has not ended yet, as the control API shows it."""

from __future__ import annotations

from msgspec import Struct

from sparkd.usage.records import ANONYMOUS, Phase


class ActiveRequest(Struct, frozen=True, kw_only=True):
    """A request that waits or is being answered. Points in time are seconds since the epoch. None is "unknown".

    `id` is its `x-request-id`; a client may use one again, and then several requests have it. The fields up to
    `streamed` are those of its record (`RequestRecord`). `phase_since` is when its phase began, and `granted` when
    its model was ready for it. `tokens_out` is an
    estimate of the tokens so far, and `speed` the tokens per second of the last seconds; both are None for a response
    in one piece, whose tokens cannot be seen. `tokens_in` is known only if the engine reports it early.
    """

    id: str
    model: str
    asked: str
    client: str = ANONYMOUS
    program: str = ""
    endpoint: str
    streamed: bool
    began: float
    phase: Phase
    phase_since: float
    tokens_out: int | None = None
    speed: float | None = None
    tokens_in: int | None = None
    granted: float | None = None
